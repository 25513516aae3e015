"""The losses of JPEG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import cv2
import numpy as np

from frx_degradations.ranges import drawn_whole, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class Jpeg:
    """Writes the picture as JPEG and reads it again, colour at half the resolution.

    `quality` is the range (low, high) of 1..100, as libjpeg counts it, from which each image's is
    drawn uniformly, both ends included; (q, q) fixes it. What imgaug calls a compression of 50 to
    85 is a quality of 51 to 17.
    """

    quality: tuple[int, int] = (50, 85)

    def __attrs_post_init__(self) -> None:
        require_range("quality", self.quality, 1, 100)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the image as the file has it [H, W, 3]."""
        quality = drawn_whole(self.quality, rng)
        options = [
            *(cv2.IMWRITE_JPEG_QUALITY, quality),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        ]
        levels = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
        _, file = cv2.imencode(".jpg", levels, options)
        return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB), np.uint8)
