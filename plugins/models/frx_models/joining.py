"""Feature maps side by side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from frx_models.layout import layout


def joined(*features_BCHW: Tensor) -> Tensor:
    """Return the channels of several feature maps in one, as `torch.cat` does.

    On the way back each map's gradient is whole in memory. A view of some of the channels, which
    `torch.cat` leaves, costs what comes next up to ten times as much.
    """
    return torch.cat([_WholeGradient.apply(one) for one in features_BCHW], dim=1)


class _WholeGradient(torch.autograd.Function):
    """Its input, whose gradient is laid out in memory as the input is."""

    @staticmethod
    def forward(context: Any, x_BCHW: Tensor) -> Tensor:
        context.layout = layout(x_BCHW)
        return x_BCHW.view_as(x_BCHW)

    @staticmethod
    def backward(context: Any, gradient_BCHW: Tensor) -> Tensor:
        return gradient_BCHW.contiguous(memory_format=context.layout)
