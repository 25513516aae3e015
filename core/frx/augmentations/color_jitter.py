"""Changes of brightness, contrast, saturation and hue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Ge, Interval

if TYPE_CHECKING:
    from frx.specs import Picture, Pictures

LUMA = np.array([0.299, 0.587, 0.114])


def blend(levels: Picture, factor: float, other: float) -> Picture:
    """factor · levels + (1 − factor) · other, rounded and clipped, through a table."""
    table = np.clip(np.rint(factor * np.arange(256) + (1 - factor) * other), 0, 255)
    return np.asarray(cv2.LUT(levels, table.astype(np.uint8)), np.uint8)


def shift_hue(image: Picture, turns: float) -> Picture:
    """Turn the hue; in float, since 8-bit HSV would be off by up to 8 levels."""
    hsv = np.asarray(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2HSV), np.float32)
    hsv[..., 0] += turns % 1 * 360  # OpenCV takes 360° and more as well
    return np.asarray(cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)), np.uint8)


@attrs.frozen(kw_only=True)
class ColorJitter:
    """Changes brightness, contrast, saturation and hue by random amounts.

    As torchvision defines them, in this order: a factor drawn from 1 ± the option (not below 0)
    for `brightness` (blended with black), `contrast` (with the mean grey) and `saturation` (with
    each pixel's grey); `hue` is a shift drawn from ± the option, in turns of the colour circle.
    All images of a sample are changed by the same function of colour, so contrast takes the mean
    grey of the first one; masks are left alone.
    """

    brightness: Annotated[float, Ge(0)] = 0.2
    contrast: Annotated[float, Ge(0)] = 0.2
    saturation: Annotated[float, Ge(0)] = 0.2
    hue: Annotated[float, Interval(ge=0, le=0.5)] = 0.02

    def __call__(self, pictures: Pictures, rng: np.random.Generator) -> dict[str, Picture]:
        """Return the pictures with their colours changed."""
        brightness, contrast, saturation = (
            max(0.0, 1 + rng.uniform(-reach, reach))
            for reach in (self.brightness, self.contrast, self.saturation)
        )
        hue = rng.uniform(-self.hue, self.hue)
        towards_grey = saturation * np.eye(3) + (1 - saturation) * LUMA
        grey: float | None = None
        changed: dict[str, Picture] = {}
        for name, picture in pictures.items():
            if picture.ndim == 2:
                changed[name] = picture
                continue
            image = blend(np.ascontiguousarray(picture), brightness, 0)
            if grey is None:
                grey = float(LUMA @ cv2.mean(image)[:3])
            image = cv2.transform(blend(image, contrast, grey), towards_grey).astype(np.uint8)
            changed[name] = shift_hue(image, hue) if hue else image
        return changed
