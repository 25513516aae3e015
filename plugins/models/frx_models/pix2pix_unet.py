"""The generator of pix2pix: a U-Net that goes down to a single place."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.instance_norm import InstanceNorm2d
from frx_models.joining import joined
from frx_models.padding import padded
from frx_models.signed import from_signed, to_signed
from frx_models.transposed_convolution import ConvTranspose2d

# Decoder layers with dropout, counted from the innermost.
DROPPED = 3


class Pix2PixUNet(nn.Module):
    """Restores with eight levels, skip connections and 54,413,955 parameters.

    `levels` is the number of convolutions that halve the picture: 8 brings 256 px down to 1.
    `width` is the number of channels after the first of them, at most eight times that further in.
    `dropout` is the share of values that training drops in the three innermost decoder layers
    (0.5 in the paper). With `norm` "instance" (without weights of its own) each picture is
    normalised by itself. With `last` "upsample" pixels are doubled and convolved at the end
    instead of a transposed convolution, against checkerboards. Together they make the second
    well-known form, 54,404,099 parameters.

    Takes [B, 3, H, W] in 0..1, of any size: padded to a multiple of 2 to the power of `levels` and
    cropped back; layers see −1..1, and tanh keeps the result in 0..1. From arXiv 1611.07004, as are
    the first weights.
    """

    differs_in_training = True

    def __init__(
        self,
        *,
        levels: Annotated[int, Ge(2), Le(10)] = 8,
        width: Annotated[int, Ge(1)] = 64,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        norm: Literal["batch", "instance"] = "batch",
        last: Literal["transposed", "upsample"] = "transposed",
    ) -> None:
        super().__init__()
        self.differs_in_training = norm == "batch" or dropout > 0
        self.multiple_px = 2**levels
        normalised = nn.BatchNorm2d if norm == "batch" else InstanceNorm2d
        channels = [width * min(2**level, 8) for level in range(levels)]
        self.encoder = nn.ModuleList([nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False)])
        for level in range(1, levels):
            outputs = channels[level]
            layers: list[nn.Module] = [
                nn.LeakyReLU(0.2),
                nn.Conv2d(channels[level - 1], outputs, 4, stride=2, padding=1, bias=False),
            ]
            if level < levels - 1:  # the innermost may be 1 × 1, and its norm would be nothing
                layers.append(normalised(outputs))
            self.encoder.append(nn.Sequential(*layers))
        self.decoder = nn.ModuleList()
        for depth, level in enumerate(range(levels - 1, 0, -1)):
            inputs, outputs = channels[level] * (2 if depth else 1), channels[level - 1]
            self.decoder.append(
                nn.Sequential(
                    nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
                    normalised(outputs),
                    nn.Dropout(dropout if depth < DROPPED else 0),
                )
            )
        self.last = nn.Sequential(*last_layer(2 * width, last))
        draw_weights(self)

    def forward(self, degraded: Tensor) -> Tensor:
        """Return the restored image, [B, 3, H, W]."""
        height, width = degraded.shape[-2:]
        x = padded(to_signed(degraded), self.multiple_px)
        skipped = []
        for layer in self.encoder:
            x = layer(x)
            skipped.append(x)
        x = F.relu(skipped.pop())
        for layer in self.decoder:
            x = F.relu(joined(skipped.pop(), layer(x)))
        # In float32 also under autocast: bfloat16 has fewer steps than a picture of 8 bits.
        drawn: Tensor = self.last(x)[..., :height, :width]
        return from_signed(drawn.float().tanh())


def last_layer(inputs: int, form: Literal["transposed", "upsample"]) -> tuple[nn.Module, ...]:
    """What doubles the size once more and gives three channels."""
    if form == "transposed":
        return (ConvTranspose2d(inputs, 3, 4, stride=2, padding=1),)
    return nn.Upsample(scale_factor=2), nn.ZeroPad2d((2, 1, 2, 1)), nn.Conv2d(inputs, 3, 4)


def draw_weights(network: nn.Module) -> None:
    """Draw the weights of all convolutions and norms as pix2pix does, generator or not."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1, std=0.02)
            nn.init.zeros_(module.bias)
