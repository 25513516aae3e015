"""The strength of edges, for metrics and losses."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

# Keeps the root's gradient finite where a picture is flat.
LEAST = 1e-8


@torch.no_grad()
def edges(image: Tensor) -> Tensor:
    """Return the Sobel gradient magnitude [B, C, H, W] of every channel, in float32.

    √(gx² + gy² + 1e-8), for pictures in 0..1 between 0 and √20: a vertical step from 0 to 1 has 4.
    The border is replicated. Without a gradient; `frx.mean_difference` finds that of
    `EdgeDifference`.
    """
    return _Edges(image.float()).strength


class EdgeDifference:
    """The absolute difference of the edges of two batches [B, C, H, W], float32."""

    def __init__(self, restored: Tensor, clean: Tensor) -> None:
        self.edges = _Edges(restored), _Edges(clean)
        self.excess = self.edges[0].strength - self.edges[1].strength
        self.values = self.excess.abs()

    def gradients(self, weights: Tensor, wanted: tuple[bool, bool]) -> tuple[Tensor | None, ...]:
        """See `frx.mean_difference.Difference`."""
        falls = self.excess.sign().mul_(-weights)
        restored, clean = self.edges
        return (
            restored.descent(falls) if wanted[0] else None,
            clean.descent(-falls) if wanted[1] else None,
        )


class _Edges:
    """Sobel's gradients of [B, C, H, W], contiguous or channels_last, and their magnitude."""

    def __init__(self, image: Tensor) -> None:
        # Sums of slices, where a convolution would round to fewer bits under autocast or with TF32.
        self.gx, self.gy = _slope(_smooth(image, 2), 3), _slope(_smooth(image, 3), 2)
        squares = self.gx.square().addcmul_(self.gy, self.gy)
        self.strength = squares.add_(LEAST).sqrt_()

    def descent(self, weights: Tensor) -> Tensor:
        """Minus the gradient, by the image, of the sum of `weights` · `strength`."""
        weights = weights / self.strength
        # The adjoint of a slope is minus the slope of what turns over at the border.
        across, down = _slope(weights * self.gx, 3, -1), _slope(weights * self.gy, 2, -1)
        return _smooth(across, 2).add_(_smooth(down, 3))


def _smooth(image: Tensor, dim: int) -> Tensor:
    """Weigh neighbours 1, 2, 1 along a dimension, with the border replicated; its own adjoint."""
    size = image.shape[dim]
    before, after = image.narrow(dim, 0, size - 1), image.narrow(dim, 1, size - 1)
    smooth = torch.empty_like(image)
    torch.add(before, after, alpha=2, out=smooth.narrow(dim, 1, size - 1))
    torch.mul(image.select(dim, 0), 3, out=smooth.select(dim, 0))
    smooth.narrow(dim, 0, size - 1).add_(after)
    smooth.select(dim, size - 1).add_(image.select(dim, size - 1))
    return smooth


def _slope(image: Tensor, dim: int, beyond: Literal[1, -1] = 1) -> Tensor:
    """The neighbour after less the one before; past the border lies `beyond` times the border."""
    size = image.shape[dim]
    if size == 1:
        return torch.zeros_like(image)
    slope = torch.empty_like(image)
    before, after = image.narrow(dim, 0, size - 2), image.narrow(dim, 2, size - 2)
    torch.sub(after, before, out=slope.narrow(dim, 1, size - 2))
    first, second = image.select(dim, 0), image.select(dim, 1)
    torch.sub(second, first, alpha=beyond, out=slope.select(dim, 0))
    first, second = image.select(dim, size - 2), image.select(dim, size - 1)
    torch.sub(second, first, alpha=beyond, out=slope.select(dim, size - 1)).mul_(beyond)
    return slope
