"""Noise whose values are drawn from a table of equally likely ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from frx.specs import Picture

ENTRIES = 65536
BLOCK = 65536  # values, a multiple of 4; all that is made of so many fits into a core's cache


def add_drawn(image: Picture, sizes: NDArray[np.uint8], rng: np.random.Generator) -> Picture:
    """Add to every value of an image [H, W, 3] an entry of `sizes`, in levels, or take it away.

    16 random bits choose one of 65,536 entries, whose lower half is added and whose upper half is
    taken away. The sum is clipped to 0..255.
    """
    # Twice as fast as a sample's own Philox.
    words = np.random.SFC64(int(rng.bit_generator.random_raw()))
    # In one row: OpenCV would take a few values without a second axis for a colour.
    levels = np.ascontiguousarray(image).reshape(1, -1)
    noisy = np.empty_like(levels)
    for start in range(0, levels.size, BLOCK):
        block = slice(start, start + BLOCK)
        some, result = levels[:, block], noisy[:, block]
        drawn = words.random_raw(-(-some.size // 4)).view(np.uint16)[None, : some.size]
        # Taking away is adding to 255 − level, whose bits are those of the level inverted.
        inverted = (drawn.view(np.int16) >> 15).astype(np.uint8)
        np.bitwise_xor(some, inverted, out=result)
        cv2.add(result, cv2.LUT(drawn, sizes), dst=result)
        np.bitwise_xor(result, inverted, out=result)
    return noisy.reshape(image.shape)


def scaled(quantiles: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Quantiles in whole levels; what passes 255 clips any sum, as 255 does."""
    return np.asarray(cv2.convertScaleAbs(quantiles, alpha=scale), np.uint8)


def for_both_signs(upper: NDArray[Any]) -> NDArray[Any]:
    """For both halves of a table of a symmetric distribution the values above its middle."""
    return np.concatenate([upper, upper])


def upper_probabilities() -> NDArray[np.float64]:
    """The midpoints of the upper half of 65,536 equal probabilities, rising."""
    return (np.arange(ENTRIES // 2, ENTRIES) + 0.5) / ENTRIES
