"""`frx degrade`: the damaged set of a recipe, written to disk, the same bits every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from frx import images
from frx.data import Samples, Subset
from frx.datasets.folder import Folder
from frx.errors import DataError, FrxError
from frx.progress import Progress
from frx.recipe import Recipe

KINDS = ("clean", "corrupted", "mask")


def degrade(source: Path, out: Path, recipe: Recipe) -> dict[str, str]:
    """Damage every image of a folder (or one image) as `recipe` does outside training.

    Writes `clean/`, `corrupted/` and, where damage is marked, `mask/` with one PNG a name each:
    the layout that the data set `paired` reads. Returns what failed, by name; the rest is done.

    Raises:
        DataError: the folder is missing or has no image, or the recipe damages nothing.
    """
    if not recipe.degradations:
        raise DataError(f"the recipe {recipe.name} has no [[degradations]]: nothing to write")
    folder = Folder(path=str(source), size=recipe.data.dataset.setting("size"))
    subset = Subset(folder, np.arange(len(folder), dtype=np.int64))
    samples = Samples(subset, recipe.seed, [use.build() for use in recipe.degradations])
    failed: dict[str, str] = {}
    with (
        Progress("degrading", len(folder)) as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for name, reason in _each(pool, samples, out):
            if reason:
                failed[name] = reason
            progress.advance()
    return failed


def _each(pool: ThreadPoolExecutor, samples: Samples, out: Path) -> Iterator[tuple[str, str]]:
    def one(index: int) -> tuple[str, str]:
        name = samples.subset.dataset.name(index)
        try:
            _write(out, name, samples.make(index))
        except FrxError as error:
            return name, str(error)
        return name, ""

    window = 4 * (os.cpu_count() or 1)  # a folder of any length stays out of memory
    for start in range(0, len(samples.subset), window):
        yield from pool.map(one, range(start, min(start + window, len(samples.subset))))


def _write(out: Path, name: str, pictures: dict[str, images.Picture]) -> None:
    target = PurePosixPath(name).with_suffix(".png")
    images.write(out / "clean" / target, pictures["clean"])
    images.write(out / "corrupted" / target, pictures["degraded"])
    if pictures["mask"].any():
        images.write(out / "mask" / target, np.repeat(pictures["mask"][..., None], 3, axis=2))
