"""Mean squared difference."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mse(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean squared difference of all values.

    Both [B, 3, H, W] in 0..1; computed in float32.
    """
    return F.mse_loss(restored.float(), clean.float())
