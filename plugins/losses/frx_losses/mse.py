"""Mean squared difference."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from frx.regions import mean_over


def mse(restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean squared difference of all values.

    Both [B, 3, H, W] in 0..1; computed in float32. With a `region` [B, 1, H, W], 1 where it counts,
    the mean is over the values inside it, of the whole batch.
    """
    return mean_over(F.mse_loss(restored.float(), clean.float(), reduction="none"), region)
