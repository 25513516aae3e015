"""Faded colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import cv2
import numpy as np

from frx_degradations.ranges import drawn, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class ColorShift:
    """Multiplies saturation and value of the HSV colour space, hue unchanged.

    Each image's two factors are drawn uniformly from `saturation` and `value`, ranges (low, high);
    (x, x) fixes one. Products above 1, the most that HSV knows, are cut off there. The result is
    rounded once: nothing passes through 8-bit HSV, which would be off by up to 6 levels.
    """

    saturation: tuple[float, float] = (0.3, 0.7)
    value: tuple[float, float] = (0.6, 1.2)

    def __attrs_post_init__(self) -> None:
        require_range("saturation", self.saturation)
        require_range("value", self.value)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the image with its colours changed [H, W, 3]."""
        saturation, value = drawn(self.saturation, rng), drawn(self.value, rng)
        # With V the largest channel, HSV turns a channel c into gain · (V − stretch · (V − c)):
        # a straight line in c, of which nothing but slope and offset differ between pixels.
        channels = cv2.split(np.ascontiguousarray(image))
        largest = cv2.max(cv2.max(channels[0], channels[1]), channels[2])
        gains = np.minimum(value, 255 / np.maximum(np.arange(256), 1)).astype(np.float32)
        gain = cv2.LUT(largest, gains)
        slope = gain * np.float32(saturation)
        if saturation > 1:  # no pixel's saturation, (V − smallest) / V, passes 1
            smallest = cv2.min(cv2.min(channels[0], channels[1]), channels[2])
            spread = np.maximum(largest - smallest, 1)
            slope = np.minimum(slope, gain * np.divide(largest, spread, dtype=np.float32))
        offset = (gain - slope) * largest
        changed = [
            cv2.add(cv2.multiply(channel, slope, dtype=cv2.CV_32F), offset, dtype=cv2.CV_8U)
            for channel in channels
        ]
        return np.asarray(cv2.merge(changed), np.uint8)
