"""The metric `ms_ssim`."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn import functional as F

from frx.ssim import ssim_terms

WINDOW_PX = 11
LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the paper's, from the finest scale on


class MSSSIM:
    """Structural similarity over several scales, 1 for identical images.

    Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment, Asilomar
    Conference on Signals, Systems and Computers, 2003. At each of the `levels`, every one half the
    size of the one before, the texture of the two images is compared, at the last also their
    brightness; a channel's score is the product of these means, the weights as exponents, and 0
    where one is negative. With fewer than 5 levels the first weights are divided by their sum.

    Only windows inside the image count, and an image of odd size is framed in black before it is
    halved, both as in pytorch-msssim 1.0.0, which it equals within 5e-6. torchmetrics 1.9 reflects
    the border at the last scale and averages channels before it multiplies: on faces with noise,
    blur or less contrast its scores differ by up to 0.01.
    """

    higher_is_better: ClassVar[bool] = True

    def __init__(self, *, levels: Annotated[int, Ge(1), Le(5)] = 5) -> None:
        self.levels = levels
        self.smallest_px = (WINDOW_PX - 1) * 2 ** (levels - 1) + 1
        used = LEVEL_WEIGHTS[:levels]
        whole = sum(used) if levels < len(LEVEL_WEIGHTS) else 1.0  # all five are used as published
        self.weights = [weight / whole for weight in used]
        self.protocol = (
            "RGB, 0..1, data range 1, Gaussian window 11 px, sigma 1.5 px, k1 0.01, k2 0.03, "
            f"windows inside the image, {levels} of 5 levels, weights "
            f"{', '.join(f'{weight:.4f}' for weight in self.weights)}, "
            "mean over channels and images"
        )

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Return [B] for [B, 3, H, W].

        Raises:
            ValueError: at the last level an image would be smaller than the window.
        """
        height, width = clean.shape[2:]
        if min(height, width) < self.smallest_px:
            raise ValueError(
                f"levels = {self.levels} needs pictures of at least {self.smallest_px} × "
                f"{self.smallest_px} pixels, and here is one of {width} × {height}; "
                f"{_advice(min(height, width))}"
            )
        restored, clean = restored.float(), clean.float()
        factors = []
        for level, weight in enumerate(self.weights, start=1):
            brightness, texture = ssim_terms(restored, clean)
            likeness = brightness * texture if level == self.levels else texture
            factors.append(likeness.mean(dim=(2, 3)).relu() ** weight)
            if level < self.levels:
                frame = [side % 2 for side in clean.shape[2:]]
                restored, clean = (F.avg_pool2d(x, 2, padding=frame) for x in (restored, clean))
        return torch.stack(factors).prod(dim=0).mean(dim=1)


def _advice(side_px: int) -> str:
    room = sum(side_px > (WINDOW_PX - 1) * 2**level for level in range(len(LEVEL_WEIGHTS)))
    return f"set levels = {room}" if room else "leave the metric out"
