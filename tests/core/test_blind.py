"""Networks that find the damage themselves: composites, masks, thresholds, what is written."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from frx import images
from frx.blind import composited
from frx.data import Samples, Subset
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import RecipeError
from frx.grids import to_pixels
from frx.loader import to_device
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.scoring.evaluate import score, write
from frx.scoring.scores import NamedMetric
from frx_metrics.mask_iou import MaskIoU
from frx_metrics.psnr import PSNR

Restore = Callable[..., Any]
CPU = torch.device("cpu")
RED, BLUE = (255, 0, 0), (0, 0, 255)


class RedIsDamage(nn.Module):
    """Takes what is red for damage, surely so; pale red at a probability of 0.15; predicts blue."""

    finds_damage = True

    def forward(self, degraded: Tensor) -> dict[str, Tensor]:
        redness = degraded[:, :1] - degraded[:, 1:2]
        sure, maybe = redness > 0.9, redness > 0.4
        probability = torch.where(sure, 0.99, torch.where(maybe, 0.15, 0.01))
        blue = torch.tensor(BLUE).view(1, 3, 1, 1) / 255
        return {"image": blue.expand_as(degraded), "mask": probability.logit()}


class Darkens(nn.Module):
    def forward(self, degraded: Tensor) -> Tensor:
        return degraded / 2


def restorer(threshold: float = 0.1, module: nn.Module | None = None) -> Restorer:
    return Restorer(module or RedIsDamage(), Precision(CPU, bf16=False), {}, threshold)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))


def damaged() -> np.ndarray:
    """A face with a red square, and a pale one beside it."""
    picture = images.resize(SyntheticFaces(size=48)[0]["clean"], 40, 56) // 2  # nothing is so red
    picture[5:15, 10:20] = RED
    picture[20:30, 10:20] = (220, 100, 100)
    return picture


def test_all_256_levels_outside_the_damage_stay_as_they_are() -> None:
    picture = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    degraded = to_device(torch.from_numpy(picture)[None], CPU)
    outputs = {"image": torch.rand(1, 3, 16, 16), "mask": torch.full((1, 1, 16, 16), -9.0)}
    outputs["mask"][..., :2] = 9.0
    made = composited(outputs, degraded)
    pixels = to_pixels(made["image"])
    np.testing.assert_array_equal(pixels[:, 2:], picture[:, 2:])
    np.testing.assert_array_equal(pixels[:, :2], to_pixels(outputs["image"])[:, :2])
    assert made["found"].sum() == 32
    assert torch.equal(made["generated"], outputs["image"])


def test_a_pixel_as_sure_as_the_threshold_is_replaced() -> None:
    probabilities = torch.tensor([0.05, 0.0999, 0.1001, 0.5]).view(1, 1, 1, 4)
    outputs = {"image": torch.ones(1, 3, 1, 4), "mask": probabilities.logit()}
    for threshold, replaced in ((0.1, [0, 0, 1, 1]), (0.3, [0, 0, 0, 1]), (0.01, [1, 1, 1, 1])):
        made = composited(outputs, torch.zeros(1, 3, 1, 4), threshold)
        assert made["image"][0, 0, 0].tolist() == replaced


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.bmp"])
def test_only_what_is_found_is_replaced_in_every_format(restore: Restore, name: str) -> None:
    Image.fromarray(damaged()).save(name, quality=100, subsampling=0)
    (target,) = restore([Path(name)], Path("out"), restorer(), found_masks=Path("found")).done
    given, made = images.read_rgb(name), images.read_rgb(target)
    found = images.read_mask("found/a.png", strict=True)
    assert found[7:13, 12:18].all()
    np.testing.assert_array_equal(made[found == 0], given[found == 0])
    assert (made[found > 0] == BLUE).all()


def test_a_higher_threshold_replaces_less(restore: Restore) -> None:
    images.write("a.png", damaged())
    counts = []
    for threshold in (0.005, 0.1, 0.3):
        (target,) = restore([Path("a.png")], Path("out"), restorer(threshold)).done
        counts.append((images.read_rgb(target) == BLUE).all(axis=2).sum())
    assert counts == [40 * 56, 200, 100]


def test_a_mask_from_a_person_stands_in_for_what_is_found(restore: Restore) -> None:
    images.write("a.png", damaged())
    mask = np.zeros((40, 56), np.uint8)
    mask[30:, 40:] = 255
    images.write("mask.png", mask)
    (target,) = restore([Path("a.png")], Path("out"), restorer(), Path("mask.png")).done
    made = images.read_rgb(target)
    np.testing.assert_array_equal((made == BLUE).all(axis=2), mask > 0)
    np.testing.assert_array_equal(made[mask == 0], damaged()[mask == 0])


def test_a_photograph_without_damage_is_named_and_written_as_it_was(restore: Restore) -> None:
    images.write("photos/whole.png", SyntheticFaces(size=48)[0]["clean"] // 2)
    images.write("photos/torn.png", damaged())
    outcome = restore([Path("photos")], Path("out"), restorer())
    assert outcome.unharmed == [Path("photos/whole.png")]
    np.testing.assert_array_equal(
        images.read_rgb("out/whole.png"), images.read_rgb("photos/whole.png")
    )


def test_found_masks_are_only_for_who_finds_and_overwrite_no_photograph(restore: Restore) -> None:
    images.write("photos/a.png", damaged())
    photos = Path("photos")
    with pytest.raises(RecipeError, match="Darkens does not look for damage: leave --found-masks"):
        restore([photos], Path("out"), restorer(module=Darkens()), found_masks=Path("found"))
    with pytest.raises(RecipeError, match="--mask says where: leave --found-masks out"):
        restore([photos], Path("out"), restorer(), photos / "a.png", Path("found"))
    outcome = restore([photos], Path("out"), restorer(), found_masks=photos)
    assert outcome.failed == {
        photos / "a.png": "photos/a.png: would be overwritten; choose another -o"
    }
    np.testing.assert_array_equal(images.read_rgb("photos/a.png"), damaged())


# Scores ------------------------------------------------------------------------------------------


class Torn:
    """The red square is damage, and so is the pale one in the first of two pictures."""

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return f"{index}.png"

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        mask = np.zeros((40, 56), np.uint8)
        mask[5:15, 10:20] = 255
        if index == 0:
            mask[20:30, 10:20] = 255
        clean = np.where(mask[..., None] > 0, np.uint8(0), damaged())
        return {"clean": clean, "degraded": damaged(), "mask": mask}


def scores(folder: Path, threshold: float = 0.1) -> dict[str, dict]:
    metrics = [NamedMetric("psnr", PSNR()), NamedMetric("mask_iou", MaskIoU())]
    samples = Samples(Subset(Torn(), np.arange(2)), 0, [])
    made = {"test": score(restorer(threshold), samples, metrics, "test", CPU)}
    return write(folder, made, metrics)["sets"]["test"]


def test_masks_are_scored_at_the_threshold_and_over_several(tmp_path: Path) -> None:
    found = scores(tmp_path)
    iou = found["metrics"]["mask_iou"]
    assert iou["whole"] == {
        "restored": pytest.approx((1 + 0.5) / 2),
        "interval": {"restored": [0.5, 1]},
    }
    assert "damaged" not in iou
    curve = found["mask_thresholds"]["mask_iou"]
    assert {float(t): value for t, value in curve.items()} == {
        0.05: pytest.approx(0.75),
        0.1: pytest.approx(0.75),
        0.15: pytest.approx(0.75),
        0.2: pytest.approx((0.5 + 1) / 2),
        0.25: pytest.approx(0.75),
        0.3: pytest.approx(0.75),
    }
    with Image.open(tmp_path / "mask_thresholds-test.png") as plot:
        assert plot.width > 300


def test_the_input_has_no_mask_to_score(tmp_path: Path) -> None:
    scores(tmp_path)
    with (tmp_path / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "mask_iou"]
    assert [(row["image"], row["input"], row["restored"]) for row in rows] == [
        ("0.png", "", "1"),
        ("1.png", "", "0.5"),
    ]


def test_outside_what_is_found_nothing_is_lost(tmp_path: Path) -> None:
    sharp = scores(tmp_path, threshold=0.3)["metrics"]["psnr"]["undamaged"]
    assert sharp["input"] == sharp["restored"] == 100.0
    soft = scores(tmp_path, threshold=0.1)["metrics"]["psnr"]["undamaged"]
    assert soft["restored"] < soft["input"]  # the pale square of the second picture was whole


# As a user meets it ------------------------------------------------------------------------------

TINY = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 32
count = 20
[[degradations]]
use = "shapes"
count = [1, 2]
fills = ["white"]
[model]
use = "dual_decoder_unet"
width = 4
levels = 2
[[stages]]
name = "train"
epochs = 2
batch_size = 4
optimizer = { use = "adam", lr = 1e-2 }
losses = [{ use = "masked_l1" }, { use = "bce", on = "mask", target = "mask" }]
[[metrics]]
use = "psnr"
[[metrics]]
use = "mask_iou"
[[hooks]]
use = "samples"
[[hooks]]
use = "early_stopping"
monitor = ["masked_l1", "bce"]
"""


def test_a_run_finds_scores_and_restores(frx, recipe_file: Path) -> None:
    code, out, err = frx("run", str(recipe_file), "--out", "run")
    assert code == 0, err
    assert "test: by mask_iou the best --mask-threshold between 0.05 and 0.3 is" in out
    assert "Masks found: test" in Path("run/report.html").read_text()
    logged = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    assert {"masked_l1", "bce", "mask_iou whole", "psnr damaged"} <= set(logged[-1])

    code, _, err = frx(
        "evaluate", "run", "--split", "test", "--mask-threshold", "0.2", "--out", "x"
    )
    assert code == 0, err
    names = [f"face-{number:06}.png" for number in range(20)]
    written = sorted(path.name for path in Path("x/binary_masks/test").iterdir())
    assert written
    assert set(written) <= set(names)
    differing = 0
    for name in written:
        found = images.read_mask(f"x/binary_masks/test/{name}", strict=True)
        predicted, made = (
            images.read_rgb(f"x/{part}/test/{name}")
            for part in ("predicted_images", "reconstructed_images")
        )
        np.testing.assert_array_equal(made[found > 0], predicted[found > 0])
        differing += (made != predicted).any()
    assert differing

    photo = SyntheticFaces(size=40)[3]["clean"]
    images.write("photo.png", photo)
    code, out, err = frx("restore", "photo.png", "-o", "out", "--model", "run",
                         "--mask-threshold", "0.3", "--found-masks", "found")  # fmt: skip
    assert code == 0, err
    found = images.read_mask("found/photo.png", strict=True)
    np.testing.assert_array_equal(images.read_rgb("out/photo.png")[found == 0], photo[found == 0])


def test_what_needs_a_finder_is_refused_without_one(frx, recipe_file: Path) -> None:
    unet = ["--set", 'model={ use = "unet", width = 4 }', "--out", "run"]
    plain = ["--set", 'stages.train.losses=[{ use = "l1" }]', "--set", "hooks=[]"]
    code, _, err = frx("run", str(recipe_file), *unet, *plain)
    assert code == 2
    assert "mask_iou: judges the damage that a network finds itself, and UNet does not" in err
    code, _, err = frx(
        "run", str(recipe_file), *unet, *plain, "--set", 'metrics=[{ use = "psnr" }]'
    )
    assert code == 0, err
    for words in (("evaluate", "run"), ("restore", "tiny.toml", "-o", "out", "--model", "run")):
        code, _, err = frx(*words, "--mask-threshold", "0.2")
        assert code == 2
        assert "unet does not find the damage itself: leave --mask-threshold out" in err
    code, _, err = frx("evaluate", "run", "--mask-threshold", "1.5")
    assert code == 2
