"""A residual U-Net with one decoder for the picture and one for where it is damaged."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.joining import joined
from frx_models.padding import padded
from frx_models.signed import from_signed, to_signed

# What share of pixels the untrained network takes for damaged.
PRIOR = 0.05


class DualDecoderUNet(nn.Module):
    """Finds the damage and restores: one encoder, two decoders, 6,968,196 parameters.

    `width` is the number of channels at full size, doubled at each of the `levels`, each of which
    halves the size. Every stage is one residual block; a skip leaves the encoder before its
    max-pool and goes to both decoders, which are alike and share no weights.

    Takes [B, 3, H, W] in 0..1, of any size: padded to a multiple of 2 to the power of `levels` and
    cropped back; layers see −1..1. It is not told where the damage is. Gives "image", its picture
    in 0..1, all of it predicted, and "mask", [B, 1, H, W]: logits, the higher the surer that a
    pixel is damaged.

    A U-Net (arXiv 1505.04597) with the residuals of arXiv 1512.03385. Weights start from Kaiming's
    normal distribution (arXiv 1502.01852); those of the heads near zero and the mask's bias at a
    prior of 5 %, as in arXiv 1708.02002: a grey picture and no damage at first.
    """

    differs_in_training = True
    finds_damage = True

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 32,
        levels: Annotated[int, Ge(1), Le(8)] = 4,
    ) -> None:
        super().__init__()
        self.multiple_px = 2**levels
        channels = [width * 2**level for level in range(levels + 1)]
        inputs = [3, *channels]
        self.encoder = nn.ModuleList(
            ResidualBlock(inputs[level], channels[level]) for level in range(levels)
        )
        self.bottom = ResidualBlock(channels[-2], channels[-1])
        self.image_decoder = Decoder(channels, 3)
        self.mask_decoder = Decoder(channels, 1, first=math.log(PRIOR / (1 - PRIOR)))

    def forward(self, degraded: Tensor) -> dict[str, Tensor]:
        """Return "image" and the logits "mask"."""
        height, width = degraded.shape[-2:]
        x = padded(to_signed(degraded), self.multiple_px)
        if self.training and x.shape[0] * x.shape[-2] * x.shape[-1] == self.multiple_px**2:
            # BatchNorm refuses the bottom's single value a channel.
            x = F.pad(x, (0, self.multiple_px, 0, 0), mode="replicate")
        skipped = []
        for block in self.encoder:
            x = block(x)
            skipped.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        # In float32 also under autocast: bfloat16 has fewer steps than a picture of 8 bits.
        image, mask = (
            decoder(x, skipped)[..., :height, :width].float()
            for decoder in (self.image_decoder, self.mask_decoder)
        )
        return {"image": from_signed(image.tanh()), "mask": mask}


class ResidualBlock(nn.Module):
    """3 × 3 convolution and BatchNorm, plus the input, then SiLU.

    Where the number of channels changes, a 1 × 1 convolution projects the input. Neither has a
    bias: BatchNorm has one.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.projection: nn.Module = nn.Identity()
        # Torch has no gain for SiLU; that of ReLU is near.
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        if inputs != outputs:
            self.projection = nn.Conv2d(inputs, outputs, 1, bias=False)
            nn.init.kaiming_normal_(self.projection.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, outputs, H, W]."""
        return F.silu(self.norm(self.convolution(x)) + self.projection(x))


class Decoder(nn.Module):
    """From the bottom back to full size, a skip and a residual block at each level, and a head.

    Untrained it gives `first` nearly everywhere.
    """

    def __init__(self, channels: list[int], outputs: int, first: float = 0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(skipped + deeper, skipped)
            for skipped, deeper in zip(channels[-2::-1], channels[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], outputs, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, first)

    def forward(self, x: Tensor, skipped: list[Tensor]) -> Tensor:
        """Return [B, outputs, H, W] at the size of the first of `skipped`."""
        for block, skip in zip(self.blocks, reversed(skipped), strict=True):
            doubled = F.interpolate(x, scale_factor=2, mode="bilinear")
            x = block(joined(doubled, skip))
        drawn: Tensor = self.head(x)
        return drawn
