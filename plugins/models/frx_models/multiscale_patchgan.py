"""The discriminator of HiFaceGAN: patches at several sizes of the picture, and their features."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.instance_norm import InstanceNorm2d
from frx_models.signed import to_signed
from frx_models.spectral import spectrally_normalised
from frx_models.xavier import convolution


class MultiscalePatchGAN(nn.Module):
    """Judges patches at two sizes of the picture, with 2,766,913 parameters each.

    Each of the `scales` sees the picture at half the size of the one before, so what it judges is
    twice as wide. `width` is the number of channels after the first layer. If `conditional`, it
    sees `degraded` beside the picture that it judges; otherwise `degraded` is ignored. The layers
    between the first and the last are spectrally normalised (arXiv 1802.05957) and each picture is
    normalised by itself, so the mode makes no difference.

    Takes [B, 3, H, W] in 0..1, at least 16 × 16 for two scales; layers see −1..1. Gives "logits", a
    list with [B, 1, h, w] for each scale, and "features", what the other layers of each scale give.
    From arXiv 1711.11585 and 1903.07291.
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 64,
        scales: Annotated[int, Ge(1), Le(4)] = 2,
        conditional: bool = True,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.judges = nn.ModuleList(_layers(6 if conditional else 3, width) for _ in range(scales))

    def forward(self, image: Tensor, degraded: Tensor) -> dict[str, Any]:
        """Return "logits", one number a patch, and "features", both with an entry a scale."""
        seen = to_signed(torch.cat([degraded, image], dim=1) if self.conditional else image)
        logits, features = [], []
        for number, layers in enumerate(self.judges):
            if number:
                seen = F.avg_pool2d(seen, 3, stride=2, padding=1, count_include_pad=False)
            made = [seen]
            for layer in layers:  # type: ignore[attr-defined]
                made.append(layer(made[-1]))
            logits.append(made[-1])
            features.append(made[1:-1])
        return {"logits": logits, "features": features}


def _layers(inputs: int, width: int) -> nn.ModuleList:
    """Five convolutions of 4 × 4; the norm of three of them makes a bias void."""
    return nn.ModuleList(
        [
            nn.Sequential(convolution(inputs, width, 4, stride=2), nn.LeakyReLU(0.2)),
            _normalised(width, 2 * width, stride=2),
            _normalised(2 * width, 4 * width, stride=2),
            _normalised(4 * width, 8 * width, stride=1),
            convolution(8 * width, 1, 4),
        ]
    )


def _normalised(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        spectrally_normalised(convolution(inputs, outputs, 4, stride=stride, bias=False)),
        InstanceNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )
