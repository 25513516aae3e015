"""Structural similarity, pixel by pixel, for metrics and losses.

Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural
similarity, IEEE Transactions on Image Processing 13 (4), 2004.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from frx.mean_difference import differences

WINDOW_PX, SIGMA_PX = 11, 1.5
REACH_PX = WINDOW_PX // 2
# Twice the paper's (K · 1)², for twice its numerators and denominators.
C1, C2 = 2 * 0.01**2, 2 * 0.03**2


def gaussian_window(size_px: int, sigma_px: float) -> Tensor:
    """Weights [size] that sum to 1, float32."""
    offset = torch.arange(size_px, dtype=torch.float64) - (size_px - 1) / 2
    weight = torch.exp(-((offset / sigma_px) ** 2) / 2)
    return (weight / weight.sum()).float()


def ssim_map(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the SSIM [B, C, H, W] of two batches of that shape, in 0..1.

    Each channel is compared by itself, at every pixel, with a Gaussian window of 11 pixels, σ 1.5,
    K₁ 0.01 and K₂ 0.03; the border is reflected. Computed in float32 even under autocast, without a
    gradient; `frx.mean_difference` finds that of `Dissimilarity`. An image smaller than the window
    raises ValueError.
    """
    return 1 - differences(Dissimilarity, restored, clean)


@torch.no_grad()
def ssim_terms(restored: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Return how alike two batches [B, C, H, W] in 0..1 are in brightness, and how in texture.

    Their product is the SSIM; the second is what MS-SSIM compares at its finer scales. Only windows
    that lie in the image: both are [B, C, H − 10, W − 10]. Without a gradient.
    """
    windows = _Windows(_side_by_side(restored), _side_by_side(clean))
    shape = restored.shape[:2]
    return _apart(windows.brightness, shape), _apart(windows.texture, shape)


class Dissimilarity:
    """One minus the SSIM of two batches [B, C, H, W] in 0..1, float32; the border is reflected.

    An image smaller than the window raises ValueError.
    """

    def __init__(self, restored: Tensor, clean: Tensor) -> None:
        height, width = restored.shape[2:]
        if min(height, width) < WINDOW_PX:
            raise ValueError(
                f"SSIM compares windows of {WINDOW_PX} × {WINDOW_PX} pixels; "
                f"an image of {width} × {height} is too small for it"
            )
        self.shape = restored.shape
        self.windows = _Windows(*(_side_by_side(_framed(one)) for one in (restored, clean)))
        likeness = self.windows.brightness * self.windows.texture
        self.values = _apart(likeness.neg_().add_(1), self.shape[:2])

    def gradients(self, weights: Tensor, wanted: tuple[bool, bool]) -> tuple[Tensor | None, ...]:
        """See `frx.mean_difference.Difference`."""
        if weights.ndim:
            weights = _side_by_side(weights.expand(self.shape))
        of_sum, of_difference = self.windows.gradients(-weights)
        return (
            self._gradient(of_sum + of_difference) if wanted[0] else None,
            self._gradient(of_sum - of_difference) if wanted[1] else None,
        )

    def _gradient(self, framed: Tensor) -> Tensor:
        return _frame_folded(framed).contiguous().view(self.shape)


class _Windows:
    """What the windows show of some pictures, given side by side and in float32."""

    def __init__(self, restored: Tensor, clean: Tensor) -> None:
        # Sums and differences carry all that SSIM needs in four blurs instead of five, and
        # identical images give exactly 1. Centring the sum keeps E[s²] − E[s]² accurate.
        self.sum, self.difference = (restored + clean).sub_(1), restored - clean
        self.mean_sum, self.mean_difference = _blurred(self.sum), _blurred(self.difference)
        self.brightness_sum = self.mean_sum + 1
        brightness_sum = self.brightness_sum.square()
        brightness_difference = self.mean_difference.square()
        variance_sum = _blurred(self.sum.square())
        variance_sum.addcmul_(self.mean_sum, self.mean_sum, value=-1)
        variance_difference = _blurred(self.difference.square()).sub_(brightness_difference)
        brightness = (brightness_sum - brightness_difference).add_(C1)
        self.brightness_scale = brightness_sum.add_(brightness_difference).add_(C1)
        texture = (variance_sum - variance_difference).add_(C2)
        self.texture_scale = variance_sum.add_(variance_difference).add_(C2)
        self.brightness = brightness.div_(self.brightness_scale)
        self.texture = texture.div_(self.texture_scale)

    def gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """By the sum and the difference, of the sum of `weights` · brightness · texture."""
        weights = 2 * weights
        by_brightness = (self.texture / self.brightness_scale).mul_(weights)
        by_texture = (self.brightness / self.texture_scale).mul_(weights)
        # By the blurred squares.
        of_squared_sum = torch.addcmul(by_texture, by_texture, self.texture, value=-1)
        of_squared_difference = by_texture.addcmul_(by_texture, self.texture).neg_()
        # By the blurred sum and difference.
        of_sum = torch.addcmul(by_brightness, by_brightness, self.brightness, value=-1)
        of_sum.mul_(self.brightness_sum).addcmul_(of_squared_sum, self.mean_sum, value=-1)
        of_difference = by_brightness.addcmul_(by_brightness, self.brightness).neg_()
        of_difference.sub_(of_squared_difference).mul_(self.mean_difference)
        return (
            _spread(of_sum).addcmul_(self.sum, _spread(of_squared_sum)),
            _spread(of_difference).addcmul_(self.difference, _spread(of_squared_difference)),
        )


def _side_by_side(batch: Tensor) -> Tensor:
    """[B, C, H, W] as float32 [1, B · C, H, W], in the layout in which blurring is fast.

    On a CPU that is channels_last. Elsewhere cuDNN would blur that with TF32, while planes one
    after the other go to a kernel of torch's own, which does not round.
    """
    planes = batch.float().contiguous().flatten(0, 1)[None]
    on_cpu = batch.device.type == "cpu"
    return planes.contiguous(
        memory_format=torch.channels_last if on_cpu else torch.contiguous_format
    )


def _apart(planes: Tensor, shape: torch.Size) -> Tensor:
    """[1, B · C, h, w] as [B, C, h, w], for B and C in `shape`."""
    return torch.unflatten(planes, 1, shape)[0]


def _blurred(planes: Tensor) -> Tensor:
    """The windows' weighted means of [1, N, H, W], as [1, N, H − 10, W − 10]."""
    count = planes.shape[1]
    weight = gaussian_window(WINDOW_PX, SIGMA_PX).to(planes.device)
    column = weight.view(1, 1, -1, 1).expand(count, 1, -1, 1)
    with torch.autocast(planes.device.type, enabled=False):
        blurred = F.conv2d(planes, column, groups=count)
        return F.conv2d(blurred, column.transpose(2, 3), groups=count)


def _spread(means: Tensor) -> Tensor:
    """The adjoint of `_blurred`, whose window is symmetric."""
    return _blurred(F.pad(means, (WINDOW_PX - 1,) * 4))


def _framed(batch: Tensor) -> Tensor:
    """Reflect the border."""
    return F.pad(batch.contiguous(), (REACH_PX,) * 4, mode="reflect")


def _frame_folded(planes: Tensor) -> Tensor:
    """The adjoint of `_framed`."""
    for dim in (2, 3):
        size = planes.shape[dim] - 2 * REACH_PX
        before, inside, after = torch.split(planes, [REACH_PX, size, REACH_PX], dim)
        inside.narrow(dim, 1, REACH_PX).add_(before.flip(dim))
        inside.narrow(dim, size - 1 - REACH_PX, REACH_PX).add_(after.flip(dim))
        planes = inside
    return planes
