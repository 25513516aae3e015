"""What the default number format costs in quality: PSNR after trainings in float32 and in it.

unet_faces with its profile "quick", for fewer epochs, on the validation set. Each seed is trained
twice, in processes of their own; the "ratio" is a difference in decibels, positive where float32
is better.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.measuring import Row, alone, spread
from frx.experiment import open_run
from frx.recipe import load
from frx.run import train

RECIPE = Path(__file__).parents[1] / "recipes/unet_faces.toml"
SEEDS, EPOCHS = (1, 2), 10


def decibels(seed: int, precision: str) -> float:
    """PSNR of the validation set after training."""
    often = [f"stages.train.epochs={EPOCHS}", f"stages.train.validate_every_epochs={EPOCHS}"]
    overrides = [f"seed={seed}", f'compute.precision="{precision}"', "hooks=[]", *often]
    recipe = load(RECIPE, profiles=["quick"], overrides=overrides)
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(recipe, Path(folder), torch.device("cpu"))
        train(run)
    return run.validation["psnr whole"]


def rows() -> Iterator[Row]:
    differences = [alone(decibels, seed, "fp32") - alone(decibels, seed, "auto") for seed in SEEDS]
    yield spread("unet_faces: PSNR lost (dB)", "fp32", differences, "≤ 0.1")
