"""Structural similarity, pixel by pixel, for metrics and losses.

Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural
similarity, IEEE Transactions on Image Processing 13 (4), 2004.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_window(size_px: int, sigma_px: float) -> Tensor:
    """Weights [size] that sum to 1, float32."""
    offset = torch.arange(size_px, dtype=torch.float64) - (size_px - 1) / 2
    weight = torch.exp(-((offset / sigma_px) ** 2) / 2)
    return (weight / weight.sum()).float()


def ssim_map(
    restored: Tensor,
    clean: Tensor,
    *,
    window_px: int = 11,
    sigma_px: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Tensor:
    """Return the SSIM [B, C, H, W] of two batches of that shape, in 0..1; differentiable.

    Each channel is compared by itself, at every pixel: the border is reflected. Computed in float32
    even under autocast. An image smaller than the window raises ValueError.
    """
    batch, channels, height, width = restored.shape
    if min(height, width) < window_px:
        raise ValueError(
            f"SSIM compares windows of {window_px} × {window_px} pixels; "
            f"an image of {width} × {height} is too small for it"
        )
    reach = window_px // 2
    weight = gaussian_window(window_px, sigma_px).to(restored.device)
    with torch.autocast(restored.device.type, enabled=False):
        restored, clean = restored.float(), clean.float()
        # Sum and difference carry all that SSIM needs in four blurs instead of five, and identical
        # images give exactly 1. Centring the sum keeps E[s²] − E[s]² accurate in float32.
        both = torch.cat([restored + clean - 1, restored - clean])
        padded = F.pad(both, (reach,) * 4, mode="reflect")
        # One depthwise convolution over all planes: many times as fast as one plane a sample.
        planes = torch.cat([padded, padded * padded]).reshape(1, -1, *padded.shape[2:])
        count = planes.shape[1]
        column = weight.view(1, 1, -1, 1).expand(count, 1, -1, 1)
        blurred = F.conv2d(planes, column, groups=count)
        blurred = F.conv2d(blurred, column.transpose(2, 3), groups=count)
        mean_sum, mean_difference, square_sum, square_difference = blurred.reshape(
            4, batch, channels, height, width
        ).unbind()
        variance_sum = square_sum - mean_sum.square()
        brightness_sum = (mean_sum + 1).square()
        brightness_difference = mean_difference.square()
        variance_difference = square_difference - brightness_difference
        c1, c2 = 2 * k1**2, 2 * k2**2
        likeness = (brightness_sum - brightness_difference + c1) * (
            variance_sum - variance_difference + c2
        )
        return likeness / (
            (brightness_sum + brightness_difference + c1)
            * (variance_sum + variance_difference + c2)
        )
