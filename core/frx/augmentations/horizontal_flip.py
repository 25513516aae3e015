"""Left and right exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Interval

if TYPE_CHECKING:
    from frx.specs import Picture, Pictures


@attrs.frozen(kw_only=True)
class HorizontalFlip:
    """Mirrors a share of the samples, left to right.

    `probability` is the share; all pictures of a sample are mirrored, or none.
    """

    probability: Annotated[float, Interval(ge=0, le=1)] = 0.3

    def __call__(self, pictures: Pictures, rng: np.random.Generator) -> dict[str, Picture]:
        """Return the pictures, mirrored or as they were."""
        if rng.random() >= self.probability:
            return dict(pictures)
        return {
            name: np.asarray(cv2.flip(np.ascontiguousarray(picture), 1), np.uint8)
            for name, picture in pictures.items()
        }
