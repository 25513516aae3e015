"""Every baseline keeps its promises, and a wrong one is told which it breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frx.build import Use
from frx.testing import check_baseline

KIND = "baseline"
Picture = NDArray[np.uint8]


def test_every_baseline_keeps_its_promises(use: Use) -> None:
    check_baseline(use.build())


def in_place(degraded: Picture) -> Picture:
    degraded[:2] = 0
    return degraded.copy()


def marks_in_place(degraded: Picture, mask: Picture) -> Picture:
    mask[:2] ^= 255
    return degraded.copy()


def same_memory(degraded: Picture) -> Picture:
    return degraded


def halved(degraded: Picture) -> Picture:
    return degraded[::2, ::2].copy()


def as_float(degraded: Picture) -> Any:
    return degraded / 255


def nothing(degraded: Picture) -> None:
    return None


def drawn(degraded: Picture) -> Picture:
    return degraded ^ np.uint8(np.random.randint(2))  # noqa: NPY002


def mean_of_the_marked(degraded: Picture, mask: Picture) -> Picture:
    return np.where(mask[..., None] > 0, np.uint8(degraded[mask > 0].max()), degraded)


def by_memory(degraded: Picture) -> Picture:
    return degraded.copy() if degraded.flags.c_contiguous else 255 - degraded


def of_the_main_thread(degraded: Picture) -> Picture:
    here = threading.current_thread() is threading.main_thread()
    return degraded.copy() if here else 255 - degraded


class Counting:
    calls = 0

    def __call__(self, degraded: Picture) -> Picture:
        self.calls += 1
        return np.roll(degraded, self.calls, axis=1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (in_place, "in_place changes the pictures it is given"),
        (marks_in_place, "marks_in_place changes the pictures it is given"),
        (same_memory, "same_memory returns its input's memory; it has to copy"),
        (halved, "halved makes uint8 [32, 32, 3] of uint8 [64, 64, 3]; shape and dtype have to stay"),
        (as_float, "as_float makes float64 [64, 64, 3] of uint8 [64, 64, 3]"),
        (nothing, "nothing makes None of uint8 [64, 64, 3]"),
        (drawn, "drawn draws from the global generator of numpy"),
        (mean_of_the_marked, "fails on an image of 64 × 64 and a mask of 0 alone: ValueError"),
        (by_memory, "by_memory gives another result for a view of an image than for a copy"),
        (of_the_main_thread, "gives another result where several threads call it"),
        (Counting(), "Counting gives two results for one picture: it keeps something"),
    ],
)  # fmt: skip
def test_a_wrong_baseline_is_told_so(wrong: Any, sentence: str, says: Callable[..., None]) -> None:
    says(sentence, check_baseline, wrong)
