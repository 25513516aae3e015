"""Scores: means over images, regions, gains that point the right way, and what is written."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from frx.data import Samples, Subset
from frx.evaluate import score, write
from frx.scores import NamedMetric
from frx_metrics.psnr import PSNR

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


def scores(tmp_path: Path) -> dict[str, object]:
    made = Samples(Subset(Gray(), np.arange(4)), 0, [])
    metrics = [NamedMetric("psnr", PSNR()), NamedMetric("error", Error())]
    found = write(tmp_path, {"test": score(halved, made, metrics, "test", CPU)}, metrics)
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    return found["sets"]["test"]


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
    assert error["undamaged"] == {"input": 0.0, "restored": 0.0, "gain": 0.0}


def test_every_image_has_its_line(tmp_path: Path) -> None:
    scores(tmp_path)
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
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
