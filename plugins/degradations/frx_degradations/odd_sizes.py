"""Odd sizes of kernels, which have a middle pixel."""

from __future__ import annotations

import numpy as np


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


def odd_between(ends: tuple[int, int], rng: np.random.Generator) -> int:
    """One of the odd numbers of a range, both ends included, each as likely."""
    low, high = ends
    return 2 * int(rng.integers(low // 2, (high + 1) // 2)) + 1
