"""Mean absolute difference."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def l1(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute difference of all values.

    Both [B, 3, H, W] in 0..1; computed in float32.
    """
    return F.l1_loss(restored.float(), clean.float())
