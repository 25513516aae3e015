"""Loss of resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Ge, Len

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class Downsample:
    """Shrinks by a factor and enlarges to the old size, both bilinear.

    Each image's factor is drawn uniformly from `factors`, which need not be whole numbers. The
    small size is rounded, and at least one pixel. Neither step filters first, so a factor above 2
    aliases.

    On aligned faces at 128 × 128 the default factors leave a PSNR of 33 to 35 dB.
    """

    factors: Annotated[list[Annotated[float, Ge(1)]], Len(1)] = attrs.field(
        factory=lambda: [1.2, 1.4]
    )

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        factor = self.factors[rng.integers(len(self.factors))]
        height, width = image.shape[:2]
        small = max(1, round(width / factor)), max(1, round(height / factor))
        shrunk = cv2.resize(np.ascontiguousarray(image), small, interpolation=cv2.INTER_LINEAR)
        restored = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(restored, np.uint8)
