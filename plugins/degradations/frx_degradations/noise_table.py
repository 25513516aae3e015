"""Noise whose values are drawn from a table of equally likely ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from frx.specs import Picture

ENTRIES = 65536


def add_drawn(image: Picture, table: NDArray[np.int16], rng: np.random.Generator) -> Picture:
    """Add to every value of an image [H, W, 3] an entry of `table`, in levels, and clip to 0..255.

    The table has 65,536 entries, so 16 random bits choose one: three times as fast as drawing
    floating-point numbers.
    """
    words = rng.integers(0, 2**64 - 1, -(-image.size // 4), np.uint64, endpoint=True)
    noise = table.take(words.view(np.uint16)[: image.size]).reshape(image.shape)
    return np.asarray(cv2.add(np.ascontiguousarray(image), noise, dtype=cv2.CV_8U), np.uint8)


def mirrored(upper: NDArray[np.float64]) -> NDArray[np.float32]:
    """The values of a symmetric distribution, given those above its middle in rising order."""
    return np.concatenate([-upper[::-1], upper]).astype(np.float32)


def upper_probabilities() -> NDArray[np.float64]:
    """The midpoints of the upper half of 65,536 equal probabilities, rising."""
    return (np.arange(ENTRIES // 2, ENTRIES) + 0.5) / ENTRIES
