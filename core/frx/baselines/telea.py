"""Telea's fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Gt

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class Telea:
    """Fills marked damage from its border inwards, by weighted means (Telea 2004).

    OpenCV's `inpaint` with INPAINT_TELEA: each pixel becomes a weighted mean of the known ones
    within `radius_px`, with their gradients. Pixels outside the mask keep their values.

    Telea: An image inpainting technique based on the fast marching method, Journal of Graphics
    Tools 9 (1), 2004.
    """

    radius_px: Annotated[float, Gt(0)] = 3.0

    def __call__(self, degraded: Picture, mask: Picture) -> Picture:
        """Return the filled image [H, W, 3]; `mask` [H, W] is 255 where there is damage."""
        return filled(degraded, mask, self.radius_px, cv2.INPAINT_TELEA)


def filled(degraded: Picture, mask: Picture, radius_px: float, method: int) -> Picture:
    """What OpenCV's `inpaint` makes of the pixels that a mask marks."""
    made = cv2.inpaint(
        np.ascontiguousarray(degraded), np.ascontiguousarray(mask), radius_px, method
    )
    return np.asarray(made, np.uint8)
