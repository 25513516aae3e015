"""Peak signal-to-noise ratio."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from frx.regions import mean_of_each

CAP_DB = 100.0


class PSNR:
    """Peak signal-to-noise ratio in decibels.

    10 · log10(1 / MSE), where each image has its own mean squared error, over the pixels of its
    region. Identical images would be infinitely good: 100 dB is the most that is given. An image
    whose region is empty scores NaN.
    """

    higher_is_better: ClassVar[bool] = True

    def __init__(self) -> None:
        self.protocol = (
            "RGB, 0..1, data range 1, mean over images of each image's own PSNR, "
            f"at most {CAP_DB:g} dB"
        )

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        """Return [B] for [B, 3, H, W]; `region` [B, 1, H, W] is 1 where it counts."""
        error = (restored.float() - clean.float()).square()
        return (-10 * torch.log10(mean_of_each(error, region))).clamp(max=CAP_DB)
