"""Difference of edges."""

from __future__ import annotations

from torch import Tensor

from frx.edges import EdgeDifference
from frx.mean_difference import mean_difference


def sobel(restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean absolute difference of Sobel gradient magnitudes.

    Both [B, 3, H, W] in 0..1; computed in float32. A magnitude is √(gx² + gy² + 1e-8), for each
    channel by itself, between 0 and √20: a vertical step from 0 to 1 has 4. Nothing is divided by a
    maximum, so a picture counts the same in any batch. With a `region` [B, 1, H, W], 1 where it
    counts, the mean is over the values inside it, of the whole batch; these also depend on the
    pixels next to the region, which therefore get a gradient.
    """
    return mean_difference(EdgeDifference, restored, clean, region)
