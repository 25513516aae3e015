"""Blur that keeps edges and loses detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Ge

from frx_degradations.odd_sizes import odd_for, refuse_without_odd

if TYPE_CHECKING:
    from frx.specs import Picture


LARGEST = 255  # more OpenCV does not take


@attrs.frozen(kw_only=True)
class MedianBlur:
    """Takes the median of the square around each pixel, each channel by itself.

    The square's side is an odd number drawn uniformly from `size_px` (both ends included; (n, n)
    fixes it), at most 255; the border is repeated. With `at_size_px` the range is that of a
    picture whose shorter side has so many pixels, and grows or shrinks with any other; a side of 1
    changes nothing.
    """

    size_px: tuple[int, int] = (3, 7)
    at_size_px: Annotated[int, Ge(1)] | None = None

    def __attrs_post_init__(self) -> None:
        refuse_without_odd("size_px", self.size_px, most=LARGEST)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        size = min(odd_for(image, self.size_px, self.at_size_px, rng), LARGEST)
        if size == 1:
            return image.copy()
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(image), size), np.uint8)
