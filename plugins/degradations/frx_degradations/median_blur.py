"""Blur that keeps edges and loses detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import cv2
import numpy as np

from frx_degradations.odd_sizes import odd_between, refuse_without_odd

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class MedianBlur:
    """Takes the median of the square around each pixel, each channel by itself.

    The square's side is an odd number drawn uniformly from `size_px` (both ends included; (n, n)
    fixes it), at most 255; the border is repeated.
    """

    size_px: tuple[int, int] = (3, 7)

    def __attrs_post_init__(self) -> None:
        refuse_without_odd("size_px", self.size_px, most=255)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        size = odd_between(self.size_px, rng)
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(image), size), np.uint8)
