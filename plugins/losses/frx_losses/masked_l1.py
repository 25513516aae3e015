"""Absolute difference a marked pixel."""

from __future__ import annotations

from torch import Tensor

from frx.regions import mean_over


def masked_l1(restored: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Sum of absolute differences where damage is marked, per marked pixel.

    Σ|restored − clean|·mask / |mask|: [B, 3, H, W] in 0..1 and a mask [B, 1, H, W], 1 where pixels
    were destroyed; |mask| is the number of marked pixels of the whole batch. The sum is also over
    the channels, so it is three times `l1` with region = "mask", and half as large as the same
    formula with pictures in −1..1: a weight from there is doubled here. Computed in float32; where
    nothing is marked it is 0, and so is its gradient.
    """
    difference = (restored.float() - clean.float()).abs()
    return difference.shape[1] * mean_over(difference, mask)
