"""Scores: means over images, regions, gains that point the right way, and what is written."""

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from frx.data import Samples, Subset
from frx.errors import RecipeError
from frx.hooks.early_stopping import EarlyStopping
from frx.scoring.classical import NamedBaseline
from frx.scoring.evaluate import score, write
from frx.scoring.rehearsal import rehearse
from frx.scoring.scores import NamedMetric
from frx_metrics.psnr import PSNR
from frx_metrics.ssim import SSIM

CPU = torch.device("cpu")


class Gray:
    """Four grey pictures; the damage of the first two is a black left half."""

    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return f"{index}.png"

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        clean = np.full((8, 8, 3), 100, np.uint8)
        degraded, mask = clean.copy(), np.zeros((8, 8), np.uint8)
        if index < 2:
            degraded[:, :4], mask[:, :4] = 0, 255
        else:
            degraded += np.uint8(10 * index)
        return {"clean": clean, "degraded": degraded, "mask": mask}


class Error:
    """Mean absolute difference: lower is better."""

    higher_is_better: ClassVar[bool] = False
    protocol = "mean absolute difference"

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return (restored - clean).abs().mean((1, 2, 3))


def halved(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A restorer that brings the picture half the way back, and leaves 0..1 here and there."""
    return {"image": (batch["degraded"] + batch["clean"]) / 2 - (batch["mask"] > 2).float()}


PSNR_AND_ERROR = (NamedMetric("psnr", PSNR()), NamedMetric("error", Error()))


def scores(
    tmp_path: Path,
    metrics: Sequence[NamedMetric] = PSNR_AND_ERROR,
    baselines: Sequence[NamedBaseline] = (),
    groups: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    made = Samples(Subset(Gray(), np.arange(4), groups=groups), 0, [])
    judged = score(halved, made, metrics, "test", CPU, baselines=baselines)
    found = write(tmp_path, {"test": judged}, metrics, baselines)
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    return found["sets"]["test"]


def lines(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def decibels(levels: float) -> float:
    return -20 * math.log10(levels / 255)


def test_psnr_is_the_mean_of_the_images_own(tmp_path: Path) -> None:
    whole = scores(tmp_path)["metrics"]["psnr"]["whole"]
    expected = np.mean([decibels(100 / math.sqrt(2))] * 2 + [decibels(20), decibels(30)])
    assert whole["input"] == pytest.approx(expected, abs=1e-3)
    assert whole["gain"] == pytest.approx(20 * math.log10(2), abs=1e-3)


def test_regions_are_scored_over_the_images_that_have_damage(tmp_path: Path) -> None:
    psnr = scores(tmp_path)["metrics"]["psnr"]
    assert psnr["damaged"]["input"] == pytest.approx(decibels(100), abs=1e-3)
    assert psnr["undamaged"]["input"] == 100.0  # the cap: nothing differs there


def test_a_gain_is_good_news_also_where_lower_is_better(tmp_path: Path) -> None:
    error = scores(tmp_path)["metrics"]["error"]
    assert error["whole"]["restored"] < error["whole"]["input"]
    assert error["whole"]["gain"] == pytest.approx(
        error["whole"]["input"] - error["whole"]["restored"]
    )


def test_a_metric_that_asks_for_no_region_sees_a_picture_that_is_clean_elsewhere(
    tmp_path: Path,
) -> None:
    error = scores(tmp_path)["metrics"]["error"]
    assert error["damaged"]["input"] == pytest.approx(50 / 255)  # half of each is black, not grey
    assert error["damaged"]["restored"] == pytest.approx(25 / 255)
    nothing = {"input": 0.0, "restored": 0.0, "gain": 0.0}
    assert error["undamaged"] == {**nothing, "interval": {name: [0.0, 0.0] for name in nothing}}


def test_every_image_has_its_line(tmp_path: Path) -> None:
    scores(tmp_path)
    rows = lines(tmp_path)
    counts = {
        key: sum((r["metric"], r["region"]) == key for r in rows)
        for key in {(r["metric"], r["region"]) for r in rows}
    }
    assert counts == {
        ("psnr", "whole"): 4,
        ("psnr", "damaged"): 2,
        ("psnr", "undamaged"): 2,
        ("error", "whole"): 4,
        ("error", "damaged"): 2,
        ("error", "undamaged"): 2,
    }
    assert (tmp_path / "samples" / "test.png").exists()


def test_a_line_has_its_own_gain(tmp_path: Path) -> None:
    scores(tmp_path)
    for row in lines(tmp_path):
        before, after, gain = (float(row[name]) for name in ("input", "restored", "gain"))
        sign = 1 if row["metric"] == "psnr" else -1
        assert gain == pytest.approx(sign * (after - before), abs=1e-3)


# Intervals ---------------------------------------------------------------------------------------


def test_every_mean_lies_in_its_interval(tmp_path: Path) -> None:
    whole = scores(tmp_path)["metrics"]["error"]["whole"]
    for name, (low, high) in whole["interval"].items():
        assert low < whole[name] < high
    assert whole["interval"].keys() == {"input", "restored", "gain"}


def test_images_of_one_group_are_drawn_together(tmp_path: Path) -> None:
    alone = scores(tmp_path)
    assert "groups" not in alone
    pairs = scores(tmp_path, groups=np.array([7, 7, 3, 3]))
    assert pairs["groups"] == 2
    means = [50 / 255, (20 + 30) / 2 / 255]  # of the first two, of the others
    found = pairs["metrics"]["error"]["whole"]["interval"]["input"]
    assert found == pytest.approx(sorted(means))
    assert "interval" not in pairs["metrics"]["error"]["damaged"]  # of one group alone


# Baselines ---------------------------------------------------------------------------------------


def half_grey(degraded: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fills the damage with 50, which is half of what was there."""
    return np.where(mask[..., None] > 0, np.uint8(50), degraded)


HALF_GREY = NamedBaseline("half grey", half_grey, {"use": "half_grey"})


def test_a_baseline_is_scored_as_the_network_is(tmp_path: Path) -> None:
    found = scores(tmp_path, baselines=[HALF_GREY])
    assert found["metrics"] == scores(tmp_path / "without")["metrics"]
    error = found["baselines"]["half grey"]["error"]
    assert error["damaged"]["score"] == pytest.approx(25 / 255)  # half of a picture, half grey
    assert error["damaged"]["gain"] == pytest.approx(25 / 255)
    assert error["damaged"]["interval"]["gain"] == pytest.approx([25 / 255] * 2)
    assert error["undamaged"]["score"] == 0  # not a bit of what was whole has changed
    assert error["whole"]["score"] == pytest.approx((25 + 25 + 20 + 30) / 4 / 255)
    damaged = [r for r in lines(tmp_path) if (r["metric"], r["region"]) == ("error", "damaged")]
    assert [float(row["half grey"]) for row in damaged] == pytest.approx([25 / 255] * 2, rel=1e-5)


def test_a_baseline_for_marked_damage_needs_some(tmp_path: Path) -> None:
    rehearse({"all": Samples(Subset(Gray(), np.arange(4)), 0, [])}, [], [HALF_GREY], CPU)
    unmarked = {"noisy": Samples(Subset(Gray(), np.array([2, 3])), 0, [])}
    with pytest.raises(
        RecipeError, match=r"baseline half grey: .* in the set 'noisy' none is marked"
    ):
        rehearse(unmarked, [], [HALF_GREY], CPU)


def test_a_baseline_that_changes_the_size_is_named(tmp_path: Path) -> None:
    smaller = NamedBaseline("smaller", lambda degraded: degraded[::2, ::2], {})
    with pytest.raises(
        RecipeError, match=r"baseline smaller: makes uint8 \[4, 4, 3\] of uint8 \[8"
    ):
        scores(tmp_path, baselines=[smaller])


# Metrics of other kinds --------------------------------------------------------------------------


class Brightness:
    """A metric without a clean picture, as those of naturalness are."""

    higher_is_better: ClassVar[bool] = True
    protocol = "mean over everything"

    def __call__(self, restored: Tensor) -> Tensor:
        return restored.mean((1, 2, 3))


def test_without_a_clean_picture_there_are_no_regions(tmp_path: Path) -> None:
    found = scores(tmp_path, [NamedMetric("brightness", Brightness())], [HALF_GREY])
    brightness = found["metrics"]["brightness"]
    assert brightness.keys() == {"higher_is_better", "protocol", "whole"}
    assert brightness["whole"]["input"] == pytest.approx((50 + 50 + 120 + 130) / 4 / 255)
    assert found["baselines"]["half grey"]["brightness"].keys() == {"whole"}


class Contrast:
    """A metric of a whole set: how far its brightest picture is from its darkest."""

    higher_is_better: ClassVar[bool] = False
    protocol = "difference of mean levels, restored minus clean"

    def __init__(self, least: int = 2) -> None:
        self.least = least

    def tally(self) -> Any:
        return ContrastTally(self.least)


class ContrastTally:
    def __init__(self, least: int) -> None:
        self.least = least
        self.means: list[float] = []

    def add(self, restored: Tensor, clean: Tensor) -> None:
        assert restored.shape == clean.shape
        self.means += restored.mean((1, 2, 3)).tolist()

    def value(self) -> float:
        if len(self.means) < self.least:
            raise ValueError(f"needs {self.least} images, got {len(self.means)}")
        return max(self.means) - min(self.means)


def test_a_metric_of_a_set_has_one_number_for_it(tmp_path: Path) -> None:
    metrics = [*PSNR_AND_ERROR, NamedMetric("contrast", Contrast())]
    found = scores(tmp_path, metrics, [HALF_GREY])
    contrast = found["metrics"]["contrast"]
    assert contrast["whole"] == {
        "input": pytest.approx((130 - 50) / 255),
        "restored": pytest.approx((115 - 75) / 255),
        "gain": pytest.approx(40 / 255),  # less is better
    }
    assert "damaged" not in contrast
    of_baseline = found["baselines"]["half grey"]["contrast"]["whole"]
    assert of_baseline == {
        "score": pytest.approx((130 - 75) / 255),
        "gain": pytest.approx(25 / 255),
    }
    assert {row["metric"] for row in lines(tmp_path)} == {"psnr", "error"}


def test_a_metric_of_a_set_that_is_too_small_says_so(tmp_path: Path) -> None:
    metrics = [*PSNR_AND_ERROR, NamedMetric("contrast", Contrast(least=5))]
    found = scores(tmp_path, metrics, [HALF_GREY])
    assert found["metrics"]["contrast"]["not_measured"] == "needs 5 images, got 4"
    assert "whole" not in found["metrics"]["contrast"]
    assert "contrast" not in found["baselines"]["half grey"]
    assert "whole" in found["metrics"]["psnr"]


@pytest.mark.parametrize("name", ["contrast whole", "brightness damaged"])
def test_what_no_validation_has_cannot_be_monitored(name: str) -> None:
    stage = SimpleNamespace(name="train")
    metrics = {"psnr": PSNR(), "brightness": Brightness(), "contrast": Contrast()}
    run: Any = SimpleNamespace(
        recipe=SimpleNamespace(stages=[stage]),
        losses_by_stage=[SimpleNamespace(labels=["l1"])],
        metrics=[NamedMetric(name, metric) for name, metric in metrics.items()],
    )
    with pytest.raises(RecipeError) as caught:
        EarlyStopping(monitor=[name]).frx_run_start(run=run)
    there = "loss, l1, psnr whole, psnr damaged, brightness whole"
    assert f"has no {name!r} to monitor (there is: {there})" in str(caught.value)


def test_an_image_too_small_for_a_metric_is_one_sentence() -> None:
    samples = {"test": Samples(Subset(Gray(), np.arange(4)), 0, [])}
    with pytest.raises(RecipeError) as caught:
        rehearse(samples, [NamedMetric("ssim", SSIM())], [], CPU)
    assert str(caught.value).startswith("metric ssim: SSIM compares windows of 11 × 11 pixels; ")
    assert "(0.png); leave it out" in str(caught.value)


PLUGIN = """\
import torch

class Spread:
    '''How much a set varies.'''

    higher_is_better = True
    protocol = "standard deviation over all"

    def __init__(self, *, least: int = 2) -> None:
        self.least = least

    def tally(self):
        return Tally(self.least)

class Tally:
    def __init__(self, least):
        self.least, self.seen = least, []

    def add(self, restored, clean):
        self.seen.append(restored)

    def value(self):
        images = torch.cat(self.seen)
        if len(images) < self.least:
            raise ValueError(f"needs {self.least} images, got {len(images)}")
        return images.std().item()
"""
RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 24
count = 20
split = [0.6, 0.1, 0.3]
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "train"
epochs = 1
batch_size = 4
losses = [{ use = "l1" }]
[[metrics]]
use = "spread"
least = 3
[[metrics]]
use = "psnr"
"""


def test_a_run_measures_whole_sets_at_its_end_alone(tmp_path: Path) -> None:
    """With a plugin installed as pip would; val has two images and test six."""
    (tmp_path / "spread.py").write_text(PLUGIN)
    (tmp_path / "spread-1.0.dist-info").mkdir()
    (tmp_path / "spread-1.0.dist-info/METADATA").write_text("Name: spread\nVersion: 1.0\n")
    points = "[frx.metrics]\nspread = spread:Spread\n"
    (tmp_path / "spread-1.0.dist-info/entry_points.txt").write_text(points)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    said = {}
    for command in (["check"], ["run", "--out", "run"]):
        done = subprocess.run(
            [sys.executable, "-m", "frx", command[0], "tiny.toml", *command[1:]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "FRX_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said[command[0]] = done.stdout
    assert "one of val, untrained: psnr " in said["check"]
    logged = (tmp_path / "run/log.jsonl").read_text().splitlines()[-1]
    assert "psnr whole" in logged
    assert "spread" not in logged
    sets = json.loads((tmp_path / "run/scores.json").read_bytes())["sets"]
    assert 0 < sets["test"]["metrics"]["spread"]["whole"]["restored"] < 1
    assert "whole" not in sets["val"]["metrics"]["spread"]
    sentence = "val: spread: not measured: needs 3 images, got 2"
    assert sentence in said["run"]
    assert sentence in (tmp_path / "run/report.html").read_text()
