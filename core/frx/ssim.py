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
    height, width = restored.shape[2:]
    if min(height, width) < window_px:
        raise ValueError(
            f"SSIM compares windows of {window_px} × {window_px} pixels; "
            f"an image of {width} × {height} is too small for it"
        )
    reach = window_px // 2
    with torch.autocast(restored.device.type, enabled=False):
        padded = F.pad(_sum_and_difference(restored, clean), (reach,) * 4, mode="reflect")
        brightness, texture = _likeness(padded, window_px, sigma_px, k1, k2)
        return brightness[0] * texture[0] / (brightness[1] * texture[1])


def ssim_terms(
    restored: Tensor,
    clean: Tensor,
    *,
    window_px: int = 11,
    sigma_px: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> tuple[Tensor, Tensor]:
    """Return how alike two batches [B, C, H, W] in 0..1 are in brightness, and how in texture.

    Their product is the SSIM; the second is what MS-SSIM compares at its finer scales. Only windows
    that lie in the image: both are [B, C, H − window_px + 1, W − window_px + 1].
    """
    with torch.autocast(restored.device.type, enabled=False):
        both = _sum_and_difference(restored, clean)
        brightness, texture = _likeness(both, window_px, sigma_px, k1, k2)
        return brightness[0] / brightness[1], texture[0] / texture[1]


def _sum_and_difference(restored: Tensor, clean: Tensor) -> Tensor:
    """[2 · B, C, H, W], the sums centred on 0.

    They carry all that SSIM needs in four blurs instead of five, and identical images give
    exactly 1. Centring the sum keeps E[s²] − E[s]² accurate in float32.
    """
    restored, clean = restored.float(), clean.float()
    return torch.cat([restored + clean - 1, restored - clean])


def _likeness(
    both: Tensor, window_px: int, sigma_px: float, k1: float, k2: float
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Numerator and denominator of what brightness and what texture bring to each window's SSIM."""
    batch, channels, height, width = both.shape
    weight = gaussian_window(window_px, sigma_px).to(both.device)
    # One depthwise convolution over all planes: many times as fast as one plane a sample.
    planes = torch.cat([both, both * both]).reshape(1, -1, height, width)
    count = planes.shape[1]
    column = weight.view(1, 1, -1, 1).expand(count, 1, -1, 1)
    blurred = F.conv2d(planes, column, groups=count)
    blurred = F.conv2d(blurred, column.transpose(2, 3), groups=count)
    mean_sum, mean_difference, square_sum, square_difference = blurred.reshape(
        4, batch // 2, channels, *blurred.shape[2:]
    ).unbind()
    variance_sum = square_sum - mean_sum.square()
    brightness_sum = (mean_sum + 1).square()
    brightness_difference = mean_difference.square()
    variance_difference = square_difference - brightness_difference
    c1, c2 = 2 * k1**2, 2 * k2**2
    return (
        (
            brightness_sum - brightness_difference + c1,
            brightness_sum + brightness_difference + c1,
        ),
        (
            variance_sum - variance_difference + c2,
            variance_sum + variance_difference + c2,
        ),
    )
