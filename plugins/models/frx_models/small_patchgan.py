"""A discriminator of three layers that judges small patches."""

from __future__ import annotations

from torch import Tensor, nn

from frx_models.pix2pix_unet import draw_weights
from frx_models.signed import to_signed


class SmallPatchGAN(nn.Module):
    """Judges patches of 22 × 22 pixels with three layers and 35,553 parameters.

    Takes [B, 3, H, W] in 0..1, at least 12 × 12; layers see −1..1. Gives "logits" [B, 1, h, w]
    with h = ⌊H / 4⌋ − 1, w likewise. A short form of the discriminator of arXiv 1611.07004, from
    whose normal distribution its weights start.
    """

    differs_in_training = True

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 1, 4, padding=1),
        )
        draw_weights(self)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return "logits", one number a patch."""
        return {"logits": self.layers(to_signed(image))}
