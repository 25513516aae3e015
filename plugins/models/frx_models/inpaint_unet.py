"""A U-Net with self-attention that fills marked holes."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.joining import joined
from frx_models.padding import padded
from frx_models.signed import from_signed, to_signed

SLOPE = 0.2  # of LeakyReLU below zero


class InpaintUNet(nn.Module):
    """Fills holes: three levels and self-attention, 4,880,836 parameters.

    `width` is the number of channels at full size, doubled at half and again at a quarter of the
    size; 32 has 1,221,860 parameters. Layers see −1..1, the hole as 0, and the mask beside it.

    Takes [B, 3, H, W] in 0..1 and a mask [B, 1, H, W] with 1 = hole, of any size: padded to a
    multiple of 8 and cropped back. What stands in the hole has no influence. Gives "generated",
    the network's picture in 0..1, and "image", which is that in the hole and elsewhere the very
    values that were given. Self-attention is that of arXiv 1805.08318.

    Weights start from Kaiming's normal distribution (arXiv 1502.01852) for LeakyReLU, which keeps
    signals at one strength; those of the last layer near zero, so that the hole is grey at first
    and tanh not saturated; attention fades in from nothing.
    """

    def __init__(self, *, width: Annotated[int, Ge(2)] = 64) -> None:
        super().__init__()
        self.enc1 = two_convolutions(4, width)
        self.enc2 = two_convolutions(width, 2 * width)
        self.enc3 = two_convolutions(2 * width, 4 * width)
        self.attention = SelfAttention(4 * width)
        self.bottleneck = two_convolutions(4 * width, 4 * width)
        self.dec3 = two_convolutions(8 * width, 4 * width)
        self.dec2 = two_convolutions(6 * width, 2 * width)
        head = nn.Conv2d(width, 3, 3, padding=1)
        self.dec1 = nn.Sequential(
            nn.Conv2d(3 * width, width, 3, padding=1), nn.LeakyReLU(SLOPE), head
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(head.weight, std=1e-3)

    def forward(self, degraded: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return "image" and "generated", [B, 3, H, W] each."""
        height, width = degraded.shape[-2:]
        seen = torch.cat([to_signed(degraded) * (1 - mask), mask], dim=1)
        full = self.enc1(padded(seen, 8))
        half = self.enc2(F.max_pool2d(full, 2))
        quarter = self.enc3(F.max_pool2d(half, 2))
        deep = self.bottleneck(self.attention(F.max_pool2d(quarter, 2)))
        up3 = self.dec3(joined(doubled(deep), quarter))
        up2 = self.dec2(joined(doubled(up3), half))
        up1 = self.dec1(joined(doubled(up2), full))
        # In float32 also under autocast: bfloat16 would round the pixels that are only passed on.
        generated = from_signed(up1[..., :height, :width].float().tanh())
        return {"image": torch.where(mask > 0.5, generated, degraded), "generated": generated}


class SelfAttention(nn.Module):
    """Adds to each place the values of all places, weighted by how their keys suit its query.

    x + gamma · softmax(query · key) · value, scores not scaled, gamma from 0 (arXiv 1805.08318).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 8
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with what was attended to, [B, C, H, W]."""
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2).unsqueeze(1)
            for layer in (self.query, self.key, self.value)
        )
        # Zeros change no score; with one size for all, torch has kernels that never hold N² scores.
        widened = (0, value.shape[-1] - query.shape[-1])
        attended = F.scaled_dot_product_attention(
            F.pad(query, widened), F.pad(key, widened), value, scale=1.0
        )
        return x + self.gamma * attended.transpose(2, 3).reshape(x.shape)


def two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 × 3 convolutions, a LeakyReLU after each."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.LeakyReLU(SLOPE),
    )


def doubled(x: Tensor) -> Tensor:
    """Twice as high and wide."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
