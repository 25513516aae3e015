"""Structural similarity."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from frx.regions import mean_of_each
from frx.ssim import ssim_map


class SSIM:
    """Structural similarity, 1 for identical images.

    The mean of the SSIM map over the pixels of the region, and over the three channels. An image
    whose region is empty scores NaN; one smaller than the window raises ValueError. Equal to
    torchmetrics' default; scikit-image crops the border and differs.
    """

    higher_is_better: ClassVar[bool] = True

    def __init__(self) -> None:
        self.protocol = (
            "RGB, 0..1, data range 1, Gaussian window 11 px, sigma 1.5 px, k1 0.01, k2 0.03, "
            "reflect padding, mean over the whole map and over images"
        )

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        """Return [B] for [B, 3, H, W]; `region` [B, 1, H, W] is 1 where it counts."""
        return mean_of_each(ssim_map(restored, clean), region)
