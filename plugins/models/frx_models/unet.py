"""A small U-Net with one level of pooling."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.joining import joined
from frx_models.padding import padded
from frx_models.signed import to_signed
from frx_models.transposed_convolution import ConvTranspose2d


class UNet(nn.Module):
    """Restores with two levels, one skip connection and 368,515 parameters.

    `width` is the number of channels at full size, doubled at half size. `predict` says what the
    last layer gives: "image", the restored image through a sigmoid; or "correction", which is
    added to the input. Then layers see −1..1 and start from Kaiming's normal distribution
    (arXiv 1502.01852), the last one near zero, so that the untrained network all but returns its
    input; the sum may leave 0..1 a little, and is not clamped here, where that stops gradients.

    Takes [B, 3, H, W] in 0..1, of any size: an odd one is padded to an even one and cropped back.
    The form is that of Ronneberger et al., arXiv 1505.04597, with padded convolutions.
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 64,
        predict: Literal["image", "correction"] = "image",
    ) -> None:
        super().__init__()
        self.predict = predict
        self.encoder = two_convolutions(3, width)
        self.bottom = two_convolutions(width, 2 * width)
        self.up = ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.decoder = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(width, 3, 3, padding=1)
        if predict == "correction":
            self.start_near_identity()

    def start_near_identity(self) -> None:
        """Draw weights that keep signals at one strength up to the last layer, and fade there."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                activation: Literal["linear", "relu"] = "linear" if module is self.up else "relu"
                nn.init.kaiming_normal_(module.weight, nonlinearity=activation)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=1e-3)

    def forward(self, degraded: Tensor) -> Tensor:
        """Return the restored image, [B, 3, H, W]."""
        height, width = degraded.shape[-2:]
        even = padded(degraded, 2)
        full = self.encoder(to_signed(even) if self.predict == "correction" else even)
        half = self.bottom(F.max_pool2d(full, 2))
        predicted = self.head(self.decoder(joined(self.up(half), full)))[..., :height, :width]
        return degraded + predicted if self.predict == "correction" else torch.sigmoid(predicted)


def two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 × 3 convolutions, a ReLU after each."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )
