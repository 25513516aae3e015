"""Odd sizes of kernels, which have a middle pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frx_degradations.ranges import drawn_whole

if TYPE_CHECKING:
    from frx.specs import Picture


def refuse_without_odd(name: str, ends: tuple[int, int], most: float = float("inf")) -> None:
    """Check the range of an option.

    Raises:
        ValueError: it does not hold an odd number from 3 to `most`, or goes beyond.
    """
    low, high = ends
    if not 3 <= low <= high <= most or (low == high and low % 2 == 0):
        limit = f" <= {most}" if most < float("inf") else ""
        raise ValueError(
            f"{name} is ({low}, {high}); it has to hold 3 <= low <= high{limit} and an odd number"
        )


def odd_for(
    image: Picture, ends: tuple[int, int], at_size_px: int | None, rng: np.random.Generator
) -> int:
    """One of the odd numbers of a range, both ends included, each as likely.

    With `at_size_px` the range is that of an image whose shorter side has so many pixels; for
    another the number is multiplied, and rounded to the nearest odd one.
    """
    low, high = ends
    number = 2 * drawn_whole((low // 2, (high - 1) // 2), rng) + 1
    if at_size_px is None:
        return number
    scaled = number * min(image.shape[:2]) / at_size_px
    return 2 * int(np.rint((scaled - 1) / 2)) + 1
