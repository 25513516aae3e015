"""How much two batches of pictures differ, with the gradient found on the same way.

A loss is known but for a factor before its gradient is asked for. So a few pictures at a time are
compared and differentiated while all that takes is still in a processor's cache, and only the
gradient itself is kept.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# As many values of a channel at a time, but four pictures at least: so many fill vector registers.
VALUES, LEAST_PICTURES = 2**18, 4


class Difference(Protocol):
    """The difference of some pictures, pixel by pixel, and its gradient."""

    values: Tensor

    def gradients(self, weights: Tensor, wanted: tuple[bool, bool]) -> tuple[Tensor | None, ...]:
        """Return those of the sum of `weights` · `values`, by restored and clean, where `wanted`.

        `weights` are one number, or [B, 1, H, W].
        """


class Compare(Protocol):
    def __call__(self, restored: Tensor, clean: Tensor) -> Difference:
        """Compare two batches [B, C, H, W], float32."""


def mean_difference(
    compare: Compare, restored: Tensor, clean: Tensor, region: Tensor | None = None
) -> Tensor:
    """Return the mean of a difference inside `region` [B, 1, H, W], None for everywhere.

    One number, in float32, as from `frx.regions.mean_over`; differentiable once, by `restored` and
    `clean`, both [B, C, H, W].
    """
    result: Tensor = _MeanDifference.apply(restored.float(), clean.float(), region, compare)
    return result


@torch.no_grad()
def differences(compare: Compare, restored: Tensor, clean: Tensor) -> Tensor:
    """Return a difference pixel by pixel, [B, C, H, W] in float32, without a gradient."""
    restored, clean = restored.float(), clean.float()
    return torch.cat(
        [compare(restored[part], clean[part]).values for part in parts(restored)]
    ).contiguous()


def parts(pictures: Tensor) -> list[slice]:
    """As many pictures [B, C, H, W] at a time as are fast to compute with; all on a GPU."""
    count = len(pictures)
    if pictures.device.type == "cpu":
        count = max(VALUES // max(1, pictures[0, 0].numel()), LEAST_PICTURES)
    return [slice(start, start + count) for start in range(0, len(pictures), count)]


class _MeanDifference(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, restored: Tensor, clean: Tensor, region: Tensor | None, compare: Compare
    ) -> Tensor:
        wanted = context.needs_input_grad[:2]
        given = zip((restored, clean), wanted, strict=True)
        gradients = [torch.empty_like(batch) if wants else None for batch, wants in given]
        if region is None:
            inside, weights = restored.new_tensor(restored.numel()), None
        else:
            inside = region.float().expand_as(restored).sum().clamp(min=1)
            weights = region.float() / inside
        total = restored.new_zeros(())
        for part in parts(restored):
            difference = compare(restored[part], clean[part])
            weight = 1 / inside if weights is None else weights[part]
            if weights is None:
                total += difference.values.sum() / inside
            else:
                total += (difference.values * weight).sum()
            if any(wanted):
                found = difference.gradients(weight, wanted)
                for whole, gradient in zip(gradients, found, strict=True):
                    if whole is not None and gradient is not None:
                        whole[part] = gradient
        context.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        found = (None if one is None else one * grad for one in context.saved_tensors)
        return (*found, None, None)
