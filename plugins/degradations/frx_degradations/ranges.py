"""Ranges (low, high) that options give."""

from __future__ import annotations

from math import inf


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
