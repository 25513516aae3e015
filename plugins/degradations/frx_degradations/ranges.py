"""Ranges (low, high) and choices that options give, and what is drawn from them."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

Item = TypeVar("Item")


def require_range(
    name: str, ends: tuple[float, float], least: float = 0, most: float = inf
) -> None:
    """Check the range of an option.

    Raises:
        ValueError: its ends are in the wrong order, or outside `least` to `most`.
    """
    low, high = ends
    if not least <= low <= high <= most:
        limit = f" <= {most}" if most < inf else ""
        raise ValueError(f"{name} is ({low}, {high}); it has to hold {least} <= low <= high{limit}")


def drawn(ends: tuple[float, float], rng: Generator) -> float:
    """A number from `low` to `high`, each as likely."""
    low, high = ends
    return low + (high - low) * rng.random()


def drawn_whole(ends: tuple[int, int], rng: Generator) -> int:
    """A whole number from `low` to `high`, both included, each as likely.

    A third of the time of `rng.integers`, which counts beside what small pictures take.
    """
    low, high = ends
    return low + int((high - low + 1) * rng.random())


def drawn_of(items: Sequence[Item], rng: Generator) -> Item:
    """One of several, each as likely."""
    return items[drawn_whole((0, len(items) - 1), rng)]
