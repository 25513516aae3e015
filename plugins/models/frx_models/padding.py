"""Pictures of any size for networks that halve them several times."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def padded(x: Tensor, multiple_px: int, least_px: int = 0) -> Tensor:
    """Repeat the last row and column of [B, C, H, W] until both sides are multiples of a number.

    And at least `least_px`, a multiple itself. The result cropped to [..., :H, :W] is `x` again.
    """
    below, right = (max(least_px - side, -side % multiple_px) for side in x.shape[-2:])
    return F.pad(x, (0, right, 0, below), mode="replicate")
