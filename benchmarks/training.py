"""Whole training of unet_faces, images/s, beside a program written from its description.

JPEG files of faces are opened, varied, damaged and learned from: the recipe from a folder of files
beside `benchmarks/student.py`. Both take turns, an epoch each, in processes of their own.

The description has no random crop: there both learn from whole pictures of 128 px. frx decodes a
file in the first epoch only and takes it from its cache in all others; that is the first row. In
the second one there is no cache, so that each epoch is like a first one. In the third both cut out
the pieces of 64 px which frx's recipe learns from.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.apart import apart
from benchmarks.measuring import Row, paired
from frx import images
from frx.allocation import keep_freed_memory
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.experiment import open_run
from frx.recipe import load
from frx.run import _train_epoch

RECIPE = Path(__file__).parents[1] / "recipes/unet_faces.toml"
HEIGHT_PX, WIDTH_PX = 218, 178  # as the faces of CelebA
FACES, ROUNDS = 32, 4
SHARE = 0.5  # of a picture's side, that a piece has


def write_faces(folder: Path) -> None:
    """JPEG files for training, and one to validate with, which is not timed."""
    faces = SyntheticFaces(size=HEIGHT_PX, count=FACES + 1)
    left = (HEIGHT_PX - WIDTH_PX) // 2
    for number in range(FACES + 1):
        face = faces[number]["clean"][:, left : left + WIDTH_PX]
        to = folder / ("val" if number == FACES else "train")
        to.mkdir(exist_ok=True)
        images.write(to / f"{number:06}.jpg", face)


def by_frx(folder: Path, cache: str, share: float) -> Callable[[], object]:
    """An epoch of the recipe."""
    files = ["data.use=folder", f"data.path={folder}", f"data.cache={cache}"]
    recipe = load(
        RECIPE, overrides=[*files, f"augmentations.random_crop.share={share}", "hooks=[]"]
    )
    run = open_run(recipe, folder / f"{cache} {share}", torch.device("cpu"))
    run.folder.mkdir()
    keep_freed_memory()  # as `frx.run.train` does
    run.hook.frx_run_start(run=run)
    run.begin_stage()
    run.hook.frx_stage_start(run=run)

    def epoch() -> None:
        _train_epoch(run)
        run.position.epoch += 1
        run.position.batch = 0

    return epoch


def by_student(folder: Path, share: float) -> Callable[[], object]:
    """An epoch of the program."""
    from benchmarks.student import Training

    recipe = load(RECIPE)
    size, batch_size = recipe.data.dataset.setting("size"), recipe.stages[0].batch_size
    return Training(folder / "train", size, round(share * size), batch_size).epoch


def rows() -> Iterator[Row]:
    peer = "student's program"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_faces(folder)
        with (
            apart(by_frx, folder, "memory", 1) as cached,
            apart(by_frx, folder, "none", 1) as decoding,
            apart(by_student, folder, 1) as student,
        ):
            whole = paired({"frx": cached, "no cache": decoding, peer: student}, rounds=ROUNDS)
        yield whole.times_better("unet_faces, 128 px: training", peer, "≥ 5")
        name = "unet_faces, 128 px: training, first epoch"
        yield whole.times_better(name, peer, "≥ 5", ours="no cache")
        with (
            apart(by_frx, folder, "memory", SHARE) as cached,
            apart(by_student, folder, SHARE) as student,
        ):
            pieces = paired({"frx": cached, peer: student}, rounds=2 * ROUNDS)
        yield pieces.times_better("unet_faces, pieces of 64 px: training", peer, "≥ 5")
