"""The discriminator of pix2pix, which judges overlapping patches."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from frx_models.pix2pix_unet import draw_weights
from frx_models.signed import to_signed


class PatchGAN(nn.Module):
    """Judges patches of 70 × 70 pixels with five layers and 2,768,705 parameters.

    `width` is the number of channels after the first layer, at most eight times that further in.
    If `conditional`, it sees `degraded` beside the picture that it judges, so that a restoration
    also has to suit its damaged picture; otherwise `degraded` is ignored.

    Takes [B, 3, H, W] in 0..1, at least 24 × 24; layers see −1..1. Gives "logits" [B, 1, h, w]
    with h = ⌊H / 8⌋ − 2, w likewise. From arXiv 1611.07004, as are the first weights.
    """

    differs_in_training = True

    def __init__(self, *, width: Annotated[int, Ge(1)] = 64, conditional: bool = True) -> None:
        super().__init__()
        self.conditional = conditional
        self.layers = nn.Sequential(
            nn.Conv2d(6 if conditional else 3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            *normalised_convolution(width, 2 * width, stride=2),
            *normalised_convolution(2 * width, 4 * width, stride=2),
            *normalised_convolution(4 * width, 8 * width, stride=1),
            nn.Conv2d(8 * width, 1, 4, padding=1),
        )
        draw_weights(self)

    def forward(self, image: Tensor, degraded: Tensor) -> dict[str, Tensor]:
        """Return "logits", one number a patch."""
        seen = torch.cat([degraded, image], dim=1) if self.conditional else image
        return {"logits": self.layers(to_signed(seen))}


def normalised_convolution(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    """A 4 × 4 convolution, BatchNorm, which makes a bias void, and LeakyReLU."""
    return (
        nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )
