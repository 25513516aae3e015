"""A small turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Interval

if TYPE_CHECKING:
    from frx.specs import Picture, Pictures


@attrs.frozen(kw_only=True)
class Rotation:
    """Turns a sample about its centre by an angle drawn from ±`degrees`.

    The size stays; what comes in at the corners is the reflected picture. Images are interpolated
    bilinearly, masks take the nearest value and so stay 0 or 255.
    """

    degrees: Annotated[float, Interval(ge=0, le=180)] = 7.0

    def __call__(self, pictures: Pictures, rng: np.random.Generator) -> dict[str, Picture]:
        """Return the pictures, all turned by one angle; positive is anticlockwise."""
        angle = rng.uniform(-self.degrees, self.degrees)
        turned: dict[str, Picture] = {}
        for name, picture in pictures.items():
            height, width = picture.shape[:2]
            warped = cv2.warpAffine(
                np.ascontiguousarray(picture),
                cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1),
                (width, height),
                flags=cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            turned[name] = np.asarray(warped, np.uint8)
        return turned
