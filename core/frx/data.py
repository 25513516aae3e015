"""From a recipe to its samples: sets, splits, the damage of each sample, the order of an epoch.

Every draw is a function of (run seed, purpose, epoch, the sample's own id). So a sample is the
same whatever the number of workers, the batch size or the order, and nothing is replayed on resume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from attrs import define, evolve, frozen
from numpy.typing import NDArray

from frx.build import Use, called
from frx.cache import Cached
from frx.damage import damage
from frx.errors import DataError, RecipeError
from frx.files import cache_folder
from frx.images import shown
from frx.randomness import generator
from frx.recipe import Data, Recipe
from frx.specs import Augmentation, Dataset, Degradation
from frx.splits import read_groups, split_indices

Picture = NDArray[np.uint8]


@frozen(eq=False)
class Subset:
    """Some samples of a data set, by number."""

    dataset: Dataset
    indices: NDArray[np.int64]
    on_bad: str = "error"
    workers: int | Literal["auto"] = 0
    same_size: bool = True
    groups: NDArray[np.int64] | None = None  # of all samples of the data set

    def __len__(self) -> int:
        return len(self.indices)


def open_sets(recipe: Recipe, make: Callable[[Use], Dataset]) -> dict[str, Subset]:
    """Every set of a recipe by name: the splits of its data, then its further sets, whole.

    Raises:
        DataError: a data set is missing or empty, or a split has no sample.
    """
    opened = split(recipe.data, _opened(recipe.data, make))
    for name in ("train", "val"):
        if not len(opened.get(name, ())):
            there = ", ".join(opened)
            raise DataError(
                f"no sample is left for the split {name!r} of {recipe.data.dataset.name}, "
                f"which has {there or 'none'}; add images, name folders train, val and test, "
                "or change data.split"
            )
    return opened | {name: open_whole(data, make) for name, data in recipe.sets.items()}


def open_whole(data: Data, make: Callable[[Use], Dataset]) -> Subset:
    """A data set, all of it."""
    dataset = _opened(data, make)
    every = np.arange(len(dataset), dtype=np.int64)
    same_size = _has_one_size(data)
    return Subset(dataset, every, data.on_bad, data.workers, same_size, dataset.groups())


def split(data: Data, dataset: Dataset) -> dict[str, Subset]:
    """The splits that the data set has itself, or else those that the recipe asks for."""
    names = [dataset.name(i) for i in range(len(dataset))] if data.groups_file else []
    groups = read_groups(Path(data.groups_file), names) if data.groups_file else dataset.groups()
    found = dataset.splits()
    if not found:
        found = split_indices(len(dataset), data.split, data.split_seed, groups)
    return {
        name: Subset(dataset, indices, data.on_bad, data.workers, _has_one_size(data), groups)
        for name, indices in found.items()
        if len(indices)
    }


def less_validated(sets: Mapping[str, Subset], share: float, seed: int) -> dict[str, Subset]:
    """Validate on `share` of train and val together, a part of val; train on all the rest of both.

    So no image that an earlier stage trained on ever validates a later one.

    Raises:
        RecipeError: val is smaller than that.
    """
    train, val = sets["train"], sets["val"]
    images = len(train) + len(val)
    kept = round(share * images)
    if not 0 < kept <= len(val):
        raise RecipeError(
            f"validation_share = {share:g} of {images} images is {kept}, but data.split leaves "
            f"{len(val)} to validate on; a stage can validate on fewer than the split, not on more"
        )
    groups = None if val.groups is None else val.groups[val.indices]
    parts = split_indices(len(val), (1 - kept / len(val), 0, kept / len(val)), seed, groups)
    more = np.concatenate([train.indices, val.indices[parts["train"]]])
    return {
        **sets,
        "train": evolve(train, indices=np.sort(more)),
        "val": evolve(val, indices=val.indices[parts["test"]]),
    }


def _opened(data: Data, make: Callable[[Use], Dataset]) -> Dataset:
    dataset = make(data.dataset)
    if data.cache == "none" or not _has_one_size(data):
        return dataset
    return Cached(dataset, cache_folder() / "images" if data.cache == "disk" else None)


def _has_one_size(data: Data) -> bool:
    """Whether all images are of one size, so that they can share a batch."""
    return bool(data.dataset.setting("size") != "own")


@define(eq=False)
class Samples:
    """Clean and damaged pictures of a subset, made when asked for.

    In training (`epoch` given) a sample is varied and damaged anew each epoch. Otherwise it is
    left as it is and its damage is always the same: the set can be written to disk.
    """

    subset: Subset
    seed: int
    degradations: Sequence[Degradation]
    augmentations: Sequence[Augmentation] = ()

    def make(self, index: int, epoch: int | None = None) -> dict[str, Picture]:
        """The pictures "clean", "degraded" and "mask" of sample `index` of the data set.

        A data set that brings its own "degraded" is not damaged further.
        """
        dataset = self.subset.dataset
        name = dataset.name(index)
        pictures = dict(_checked(dataset[index], dataset))
        if epoch is not None and self.augmentations:
            rng = generator(self.seed, "augment", epoch, name)
            for augmentation in self.augmentations:
                pictures = _checked(augmentation(pictures, rng), augmentation)
        if "degraded" not in pictures:
            rng = generator(self.seed, "degrade", "fixed" if epoch is None else epoch, name)
            damaged = damage(pictures["clean"], self.degradations, rng)
            if isinstance(damaged, tuple):
                pictures["degraded"], pictures["mask"] = damaged
            else:
                pictures["degraded"] = damaged
        if "mask" not in pictures:
            pictures["mask"] = np.zeros(pictures["clean"].shape[:2], np.uint8)
        return pictures


def _checked(pictures: Any, maker: object) -> dict[str, Picture]:
    """What a data set or an augmentation gives, if it is pictures by name, one "clean".

    Raises:
        RecipeError: it is something else.
    """
    named = pictures if isinstance(pictures, Mapping) else {}
    clean = named.get("clean")
    if isinstance(clean, np.ndarray) and clean.dtype == np.uint8 and clean.shape[2:] == (3,):
        return pictures  # type: ignore[no-any-return]
    given = ", ".join(
        f"{name}: {getattr(value, 'dtype', type(value).__name__)} {list(np.shape(value))}"
        for name, value in named.items()
    )
    raise RecipeError(
        f"{called(maker)} gives "
        f"{given or f'a {type(pictures).__name__}'}; a dict of pictures by name is wanted, with "
        'one "clean", uint8 [H, W, 3]'
    )


def first_readable(subset: Subset) -> tuple[int, Mapping[str, Picture]]:
    """The number of the first sample that can be read, and its pictures.

    Raises:
        DataError: `on_bad` leaves none out and the first cannot be read, or none can.
    """
    first: Exception | None = None
    for index in subset.indices.tolist():
        try:
            return index, subset.dataset[index]
        except (DataError, ValueError) as error:
            if subset.on_bad == "error":
                raise unread(error, subset.dataset.name(index)) from None
            first = first or error
    raise DataError(f"none of {len(subset):,} images can be read; the first: {first}")


def reason_of(error: Exception, name: str) -> str:
    """Why a sample cannot be read; a data set's own sentence names the file already."""
    return str(error) if isinstance(error, DataError) else f"{shown(name)}: {error}"


def unread(error: Exception, name: str) -> DataError:
    """Say so, and how to go on without it."""
    return DataError(f'{reason_of(error, name)} (data.on_bad = "skip" leaves it out)')


def epoch_order(seed: int, epoch: int, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order in which an epoch goes through its samples."""
    return generator(seed, "order", epoch).permutation(indices)
