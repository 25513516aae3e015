"""The checks of degradations, augmentations and data sets, each sentence with one that earns it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frx import testing

Picture = NDArray[np.uint8]
Rng = np.random.Generator


Says = Callable[..., None]


def in_place(image: Picture, rng: Rng) -> Picture:
    image[:2] = 0
    return image.copy()


def same_memory(image: Picture, rng: Rng) -> Picture:
    return image


def halved(image: Picture, rng: Rng) -> Picture:
    return image[::2, ::2].copy()


def as_float(image: Picture, rng: Rng) -> Any:
    return image / 255


def from_numpy(image: Picture, rng: Rng) -> Picture:
    return image ^ np.uint8(np.random.randint(2))  # noqa: NPY002


def from_random(image: Picture, rng: Rng) -> Picture:
    return image ^ np.uint8(random.random() < 0.5)


def from_torch(image: Picture, rng: Rng) -> Picture:
    return image ^ np.uint8(torch.rand(()).item() < 0.5)


def from_nowhere(image: Picture, rng: Rng) -> Picture:
    return image ^ np.random.default_rng().integers(0, 255, image.shape, np.uint8)


def grey_mask(image: Picture, rng: Rng) -> tuple[Picture, Picture]:
    return image.copy(), image[..., 0].copy()


def mask_of_ones(image: Picture, rng: Rng) -> tuple[Picture, Picture]:
    return image.copy(), np.ones(image.shape[:2], np.uint8)


def nothing(image: Picture, rng: Rng) -> None:
    return None


def even_only(image: Picture, rng: Rng) -> Picture:
    height, width = image.shape[:2]
    return image.reshape(height, width // 2, 2, 3)[:, :, ::-1].reshape(image.shape).copy()


def by_memory(image: Picture, rng: Rng) -> Picture:
    return image.copy() if image.flags.c_contiguous else 255 - image


class Counting:
    calls = 0

    def __call__(self, image: Picture, rng: Rng) -> Picture:
        self.calls += 1
        return np.roll(image, self.calls, axis=1)


class WithLambda:
    def __init__(self) -> None:
        self.change = lambda image: 255 - image

    def __call__(self, image: Picture, rng: Rng) -> Picture:
        return np.asarray(self.change(image))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (in_place, "in_place changes the image it is given instead of a copy"),
        (same_memory, "same_memory returns its input's memory; it has to copy"),
        (halved, "halved makes uint8 [32, 32, 3] of uint8 [64, 64, 3]; shape and dtype"),
        (as_float, "as_float makes float64 [64, 64, 3] of uint8 [64, 64, 3]"),
        (from_numpy, "from_numpy draws from the global generator of numpy"),
        (from_random, "from_random draws from the global generator of random"),
        (from_torch, "from_torch draws from the global generator of torch"),
        (from_nowhere, "from_nowhere gives two results for one generator"),
        (Counting(), "Counting gives two results for one generator: it keeps something"),
        (
            grey_mask,
            "grey_mask gives uint8 [64, 64] as the mask of uint8 [64, 64, 3]; uint8 [H, W]",
        ),
        (mask_of_ones, "mask_of_ones gives uint8 [64, 64] as the mask"),
        (even_only, "even_only fails on an image of 53 × 37: ValueError: cannot reshape"),
        (by_memory, "by_memory gives another result for a view of an image than for a copy"),
        (WithLambda(), "WithLambda fails on being sent to a data-loading process"),
        (nothing, "nothing has to return an image, or an image and a mask, not None"),
    ],
)
def test_degradations(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_degradation, wrong)


def flips_all_but_masks(pictures: Any, rng: Rng) -> dict[str, Picture]:
    return {n: p[:, ::-1].copy() if p.ndim == 3 else p for n, p in pictures.items()}


def each_its_own(pictures: Any, rng: Rng) -> dict[str, Picture]:
    return {n: np.roll(p, rng.integers(1, 9), axis=1) for n, p in pictures.items()}


def soft_masks(pictures: Any, rng: Rng) -> dict[str, Picture]:
    return {n: p if p.ndim == 3 else p // 2 for n, p in pictures.items()}


def clean_alone(pictures: Any, rng: Rng) -> dict[str, Picture]:
    return {"clean": pictures["clean"]}


def dims_in_place(pictures: Any, rng: Rng) -> dict[str, Picture]:
    pictures["clean"] //= 2
    return dict(pictures)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (flips_all_but_masks, "flips_all_but_masks moves the mask otherwise than the pictures"),
        (each_its_own, 'each_its_own varies "degraded" otherwise than "clean"'),
        (soft_masks, "soft_masks gives uint8 [64, 64] as the mask of uint8 [64, 64, 3]"),
        (clean_alone, "has to return the pictures clean, degraded, mask by name, not dict clean"),
        (dims_in_place, "dims_in_place changes the pictures it is given"),
    ],
)
def test_augmentations(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_augmentation, wrong)


class Faces:
    """Right in everything; the wrong ones differ in one thing."""

    def __len__(self) -> int:
        return 3

    def name(self, index: int) -> str:
        return f"face-{index}"

    def __getitem__(self, index: int) -> dict[str, Picture]:
        return {"clean": np.full((4, 5, 3), index, np.uint8)}

    def splits(self) -> dict[str, NDArray[np.int64]]:
        return {}

    def groups(self) -> NDArray[np.int64] | None:
        return None

    def fingerprint(self) -> str:
        return "1"


class OneName(Faces):
    def name(self, index: int) -> str:
        return "face"


class Planar(Faces):
    def __getitem__(self, index: int) -> dict[str, Picture]:
        return {"clean": np.zeros((3, 4, 5), np.uint8)}


class NewEachTime(Faces):
    def fingerprint(self) -> str:
        return str(id(self))


class Twice(Faces):
    def splits(self) -> dict[str, NDArray[np.int64]]:
        return {"train": np.array([0, 1]), "val": np.array([1])}


class TooFewGroups(Faces):
    def groups(self) -> NDArray[np.int64] | None:
        return np.zeros(2, np.int64)


def test_a_right_data_set_passes() -> None:
    testing.check_dataset(Faces)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (OneName, "OneName gives one id to several samples"),
        (Planar, "Planar gives uint8 [3, 4, 5] as 'clean' of face-0; uint8 [H, W, 3] is wanted"),
        (
            NewEachTime,
            "another sample, id or fingerprint for face-0 when the data set is made again",
        ),
        (Twice, "Twice has a sample in two splits"),
        (TooFewGroups, "TooFewGroups has to give None or 3 group numbers"),
    ],
)
def test_datasets(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_dataset, wrong)
