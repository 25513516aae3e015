"""Structural similarity as a loss."""

from __future__ import annotations

from torch import Tensor

from frx.mean_difference import mean_difference
from frx.ssim import Dissimilarity


def ssim(restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
    """One minus the mean structural similarity.

    Both [B, 3, H, W] in 0..1; computed in float32, between 0 and 2. `frx.ssim` has window and
    constants; a picture smaller than the window of 11 pixels raises ValueError. With a `region`
    [B, 1, H, W], 1 where it counts, the mean is over the values inside it, of the whole batch;
    these also depend on the pixels up to 5 beside the region, which therefore get a gradient.
    """
    return mean_difference(Dissimilarity, restored, clean, region)
