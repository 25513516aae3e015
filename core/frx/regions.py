"""The part of a picture that counts: [B, 1, H, W], 1 where it does and 0 elsewhere."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mean_over(values: Tensor, region: Tensor | None) -> Tensor:
    """Return the mean of `values` [B, C, H, W] inside `region` [B, 1, H, W], None for everywhere.

    One number, in float32: the sum over the region's pixels in the whole batch, divided by how many
    values these have, so that it does not shrink as the picture around them grows. Where the region
    is empty it is 0, and so is its gradient.
    """
    values = values.float()
    if region is None:
        return values.mean()
    inside = region.float().expand_as(values)
    return (values * inside).sum() / inside.sum().clamp(min=1)


def mean_of_each(values: Tensor, region: Tensor | None) -> Tensor:
    """Return the mean of `values` [B, C, H, W] of each image inside its region, as [B].

    NaN for an image whose region is empty.
    """
    if region is None:
        return values.mean(dim=(1, 2, 3))
    inside = region.float().expand_as(values)
    return (values * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))


def grown(mask: Tensor, ring_px: int) -> Tensor:
    """Return a mask [B, 1, H, W] with a ring of so many pixels around what it marks.

    Dilated by a square, so that a hole of 32 × 32 becomes 40 × 40 with `ring_px` 4; what would lie
    outside the picture is cut off.
    """
    # Columns, then rows: a square's maximum in twice its side instead of its area.
    size_px = 2 * ring_px + 1
    taller = F.max_pool2d(mask, (size_px, 1), stride=1, padding=(ring_px, 0))
    return F.max_pool2d(taller, (1, size_px), stride=1, padding=(0, ring_px))
