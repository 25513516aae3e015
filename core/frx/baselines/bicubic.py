"""Bicubic enlargement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Gt

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class Bicubic:
    """Enlarges the low-resolution picture again: what one has without a network.

    The degraded picture, averaged over areas to 1/`scale` of its size (rounded, at least one
    pixel), is enlarged by OpenCV's INTER_CUBIC (a = −0.75). `scale` is the factor by which the
    resolution was lost: 4 where 64 of 256 pixels are left.
    """

    scale: Annotated[float, Gt(1)] = 4.0

    def __call__(self, degraded: Picture) -> Picture:
        """Return the enlarged image [H, W, 3]."""
        height, width = degraded.shape[:2]
        small = max(1, round(width / self.scale)), max(1, round(height / self.scale))
        shrunk = cv2.resize(np.ascontiguousarray(degraded), small, interpolation=cv2.INTER_AREA)
        enlarged = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(enlarged, np.uint8)
