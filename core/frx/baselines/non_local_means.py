"""Non-local means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Gt

if TYPE_CHECKING:
    from frx.specs import Picture

PATCH_PX, SEARCH_PX = 7, 21


@attrs.frozen(kw_only=True)
class NonLocalMeans:
    """Takes noise away by averaging patches that look alike (Buades 2005).

    OpenCV's `fastNlMeansDenoisingColored`: patches of 7 px, looked for within 21 px, in CIELAB.
    `strength` is its h, for lightness and colour: 20 suits Gaussian noise with a deviation of 25 of
    255 levels, 40 one of about 90; too little leaves the noise, too much the face smooth.

    Buades, Coll, Morel: A non-local algorithm for image denoising, Computer Vision and Pattern
    Recognition 2005.
    """

    strength: Annotated[float, Gt(0)] = 20.0

    def __call__(self, degraded: Picture) -> Picture:
        """Return the image [H, W, 3] with less noise."""
        blue_first = np.ascontiguousarray(degraded[..., ::-1])  # which OpenCV takes for granted
        smooth = cv2.fastNlMeansDenoisingColored(
            blue_first, None, self.strength, self.strength, PATCH_PX, SEARCH_PX
        )
        return np.ascontiguousarray(np.asarray(smooth, np.uint8)[..., ::-1])
