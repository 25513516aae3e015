"""Loss of resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import cv2
import numpy as np

from frx_degradations.ranges import drawn

if TYPE_CHECKING:
    from frx.specs import Picture

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


@attrs.frozen(kw_only=True)
class Downsample:
    """Shrinks to a share of the size and enlarges to the old one.

    `scale` is the range (low, high) from which each image's share is drawn uniformly: 0.25 leaves
    an image of 256 pixels 64; (s, s) fixes it. The small size is rounded, and at least one pixel.
    Both ways take `interpolation`. Only "area" filters before it shrinks, by averaging; the others
    alias below a scale of 0.5.
    """

    scale: tuple[float, float] = (0.125, 0.25)
    interpolation: Literal["nearest", "bilinear", "cubic", "area"] = "bilinear"

    def __attrs_post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale is ({low}, {high}); it has to hold 0 < low <= high <= 1")

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        scale = drawn(self.scale, rng)
        height, width = image.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        way = INTERPOLATIONS[self.interpolation]
        shrunk = cv2.resize(np.ascontiguousarray(image), small, interpolation=way)
        return np.asarray(cv2.resize(shrunk, (width, height), interpolation=way), np.uint8)
