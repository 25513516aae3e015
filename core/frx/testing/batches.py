"""Small random batches, and how near two answers have to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Two ways of computing one thing may round differently; this is far below a level of 8 bits.
CLOSE = 1e-4
SIZES = ((64, 64), (37, 53))  # height, width


def damaged_batch(height: int, width: int) -> dict[str, Tensor]:
    """What a batch has: clean, degraded [2, 3, H, W] and mask [2, 1, H, W], half of it marked."""
    generator = torch.Generator().manual_seed(height * width)
    coarse = torch.rand(2, 3, 8, 8, generator=generator)
    clean = F.interpolate(coarse, size=(height, width), mode="bilinear").mul(0.8).add(0.1)
    noise = torch.randn(clean.shape, generator=generator)
    mask = torch.zeros(2, 1, height, width)
    mask[..., width // 2 :] = 1
    return {"clean": clean, "degraded": (clean + 0.1 * noise).clamp(0, 1), "mask": mask}


def with_damage_found(data: Mapping[str, Tensor], wrong_by_px: int) -> dict[str, Tensor]:
    """A batch whose mask is a square, smaller in each picture, and "found", that moved diagonally.

    Moved, it has pixels that are not damaged, and lacks some that are.
    """
    mask = torch.zeros_like(data["mask"])
    for number in range(len(mask)):
        mask[number, :, 4 : 28 - 6 * number, 4 : 28 - 6 * number] = 1
    return {**data, "mask": mask, "found": mask.roll((wrong_by_px, wrong_by_px), dims=(2, 3))}


def noise_for(clean: Tensor) -> Tensor:
    """Noise of deviation 1 in the shape of a batch, other than that of its degraded pictures."""
    return torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))


def largest_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Between tensors of the same name; infinite where the names differ."""
    if set(one) != set(other):
        return float("inf")
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def described(value: Any) -> str:
    """A tensor's shape, or what else it is."""
    return f"[{', '.join(map(str, value.shape))}]" if isinstance(value, Tensor) else repr(value)
