"""Suppression: on the way down, decide place by place which neighbours a convolution listens to.

The heart of HiFaceGAN (arXiv 2005.05005), in four steps; the comments below refer to them.

(1) A convolution adds up, at place i, what its taps see, each with one matrix for all places:

        F'_i = Σ_j W_Δji F_j                       F_j: C channels; W_Δji: O × C; j around i

(2) Content-adaptive suppression multiplies each neighbour by how well it agrees with i:

        F'_i = Σ_j H(F_j, F_i) · W_Δji · F_j

(3) H is one number a place and tap, from short descriptions of both; G takes C channels to d:

        H(F_j, F_i) = D(⟨G(F_j), G(F_i)⟩ / √d)

(4) D is bounded; here a sigmoid, so H lies between 0, suppressed, and 1, passed.

H is as large as T = K · K channels, not as W: all channels share it. Predicting W itself for every
place would take billions of parameters; this takes about C · d. Dividing by √d keeps the sigmoid
from saturating. Equal values of D everywhere make (2) a plain convolution again, up to a factor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.gated_convolution import gated_convolution, taps
from frx_models.instance_norm import InstanceNorm2d
from frx_models.xavier import convolution

KERNEL = 3
COMPRESSED = 16


class Gate(nn.Module):
    """How much each neighbour is let through: [B, T, h, w] in 0..1, T = 9 taps row by row.

    The fifth of them is the place itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # G of (3). Its weights do not start small, as other ones do here: near 0 the gradient of a
        # product of two of its results would be near 0 as well, and G would never begin to learn.
        self.describe = nn.Sequential(
            nn.Conv2d(channels, COMPRESSED, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(COMPRESSED, COMPRESSED, 1),
        )

    def forward(self, x_BCHW: Tensor, stride: int) -> Tensor:
        """Return the gate at the places of the result, every `stride` places of `x_BCHW`."""
        g_BdHW = self.describe(x_BCHW)
        here_Bdhw = g_BdHW[..., ::stride, ::stride]
        products = [(tap_Bdhw * here_Bdhw).sum(1) for tap_Bdhw in taps(g_BdHW, KERNEL, stride)]
        return torch.sigmoid(torch.stack(products, dim=1) / math.sqrt(COMPRESSED))  # (3), (4)


class AdaptiveSuppression(nn.Module):
    """Halve the size and change the channels with a convolution that is gated by content."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gate = Gate(inputs)
        self.convolution = convolution(inputs, outputs, KERNEL, stride=2, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return [B, O, ⌈H / 2⌉, ⌈W / 2⌉]."""
        gate_BThw = self.gate(x_BCHW, stride=2)
        return gated_convolution(x_BCHW, gate_BThw, self.convolution.weight, stride=2)  # (2)


class LipSuppression(nn.Module):
    """Halve the size with local importance pooling, then change the channels with a convolution.

    Every 3 × 3 window's mean is weighted by exp(logit), and the logit of a value is what a
    convolution sees around it (arXiv 1908.04156): strong features outvote their neighbours. This is
    what the authors of HiFaceGAN published in place of (2).
    """

    LARGEST_LOGIT = 12

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.logit = nn.Sequential(
            convolution(inputs, inputs, KERNEL, bias=False),
            InstanceNorm2d(inputs, affine=True),
        )
        self.convolution = convolution(inputs, outputs, KERNEL)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return [B, O, ⌈H / 2⌉, ⌈W / 2⌉]."""
        importance_BCHW = (self.LARGEST_LOGIT * torch.sigmoid(self.logit(x_BCHW))).exp()
        weighted, weights = (
            F.avg_pool2d(values, KERNEL, stride=2, padding=1)
            for values in (x_BCHW * importance_BCHW, importance_BCHW)
        )
        pooled: Tensor = self.convolution(weighted / weights)
        return pooled


class NoSuppression(nn.Module):
    """Halve the size and change the channels with a plain convolution, (1), to compare with."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = convolution(inputs, outputs, KERNEL, stride=2, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return [B, O, ⌈H / 2⌉, ⌈W / 2⌉]."""
        result: Tensor = self.convolution(x_BCHW)
        return result
