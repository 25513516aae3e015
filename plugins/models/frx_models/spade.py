"""SPADE: normalisation whose scale and shift are drawn from a guide, place by place."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.instance_norm import InstanceNorm2d
from frx_models.spectral import spectrally_normalised
from frx_models.xavier import convolution

HIDDEN = 128


class Spade(nn.Module):
    """Normalise x, then scale and shift it by what a guide of the same size says.

        y = norm(x) · (1 + γ(guide)) + β(guide)

    The norm is InstanceNorm without weights of its own, so that an image's result depends neither
    on the batch nor on the mode. From arXiv 1903.07291, equation (1), where the norm is BatchNorm.
    """

    def __init__(self, channels: int, guide_channels: int) -> None:
        super().__init__()
        hidden = min(HIDDEN, channels)
        self.norm = InstanceNorm2d(channels)
        self.shared = convolution(guide_channels, hidden, 3)
        self.gamma = convolution(hidden, channels, 3, bias=False)
        self.beta = convolution(hidden, channels, 3, bias=False)

    def forward(self, x_BCHW: Tensor, guide_BGHW: Tensor) -> Tensor:
        """Return [B, C, H, W]."""
        read_BDHW = F.relu(self.shared(guide_BGHW))
        y_BCHW: Tensor = self.norm(x_BCHW) * (1 + self.gamma(read_BDHW)) + self.beta(read_BDHW)
        return y_BCHW


class SpadeBlock(nn.Module):
    """A residual block of two guided norms and two convolutions, spectrally normalised.

    Where the number of channels changes, a 1 × 1 convolution with a guided norm of its own takes
    the input past them.
    """

    def __init__(self, inputs: int, outputs: int, guide_channels: int) -> None:
        super().__init__()
        between = min(inputs, outputs)
        self.norm_1 = Spade(inputs, guide_channels)
        self.convolution_1 = spectrally_normalised(convolution(inputs, between, 3))
        self.norm_2 = Spade(between, guide_channels)
        self.convolution_2 = spectrally_normalised(convolution(between, outputs, 3))
        self.norm_past: Spade | None = None
        if inputs != outputs:
            self.norm_past = Spade(inputs, guide_channels)
            self.past = spectrally_normalised(convolution(inputs, outputs, 1, bias=False))

    def forward(self, x_BIHW: Tensor, guide_BGHW: Tensor) -> Tensor:
        """Return [B, outputs, H, W]."""
        past = x_BIHW if self.norm_past is None else self.past(self.norm_past(x_BIHW, guide_BGHW))
        x = self.convolution_1(F.leaky_relu(self.norm_1(x_BIHW, guide_BGHW), 0.2))
        x = self.convolution_2(F.leaky_relu(self.norm_2(x, guide_BGHW), 0.2))
        result: Tensor = past + x
        return result
