"""Pictures in −1..1, which layers see, and in 0..1, which everything else does."""

from __future__ import annotations

from torch import Tensor


def to_signed(image: Tensor) -> Tensor:
    """0..1 to −1..1."""
    return 2 * image - 1


def from_signed(image: Tensor) -> Tensor:
    """−1..1 to 0..1; of `to_signed`, each of the 256 levels of 8 bits is again what it was."""
    return (image + 1) / 2
