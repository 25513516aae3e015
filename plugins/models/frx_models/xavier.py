"""Convolutions whose weights start small."""

from __future__ import annotations

from torch import nn

GAIN = 0.02


def convolution(
    inputs: int,
    outputs: int,
    size: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution that keeps the size with stride 1, if nothing is said of padding.

    Its weights are drawn from Xavier's normal distribution with a gain of 0.02; a bias is 0.
    """
    padding = size // 2 if padding is None else padding
    made = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, bias=bias)
    nn.init.xavier_normal_(made.weight, gain=GAIN)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made
