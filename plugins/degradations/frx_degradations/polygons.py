"""Torn-off and stained parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Ge, Len
from numpy.typing import NDArray

from frx_degradations.fills import Fill, cover
from frx_degradations.ranges import drawn, drawn_of, drawn_whole, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class Polygons:
    """Covers parts with polygons, black, white or noise; the mask marks them.

    Each of `count` polygons has its centre on any pixel of the picture, a number of corners from
    `vertices` (both ends included) at growing angles around it and at 0.3 to 1 times its largest
    distance from it, and is as wide or as high (whichever is more) as a number from `across_px`.
    Those pixels are of a picture whose shorter side has `at_size_px`; on any other all polygons
    grow or shrink in proportion. What lies outside the picture is cut off.

    Ranges (low, high) are drawn from uniformly for each polygon, as is the fill out of `fills`;
    "noise" is an independent, uniform level for every pixel and channel, "color", which is not
    among the defaults, one random colour for the whole polygon. Later polygons cover earlier ones.
    """

    count: Annotated[int, Ge(1)] = 3
    vertices: tuple[int, int] = (6, 10)
    across_px: tuple[float, float] = (80, 200)
    at_size_px: Annotated[int, Ge(1)] = 512
    fills: Annotated[list[Fill], Len(1)] = attrs.field(factory=lambda: ["black", "white", "noise"])

    def __attrs_post_init__(self) -> None:
        require_range("vertices", self.vertices, 3)
        require_range("across_px", self.across_px, 1)

    def __call__(self, image: Picture, rng: np.random.Generator) -> tuple[Picture, Picture]:
        """Return the image with the polygons on it [H, W, 3] and their mask [H, W]."""
        height, width = image.shape[:2]
        damaged, mask = image.copy(), np.zeros((height, width), np.uint8)
        for _ in range(self.count):
            corners = self._corners(height, width, rng)
            fill = drawn_of(self.fills, rng)
            (left, top), (right, bottom) = corners.min(0).clip(0), corners.max(0) + 1
            box = slice(top, bottom), slice(left, right)
            polygon = np.zeros_like(mask[box])
            cv2.fillPoly(polygon, [corners - (left, top)], 255)
            cover(damaged[box], polygon, fill, rng)
            mask[box] |= polygon
        return damaged, mask

    def _corners(self, height: int, width: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """The corners (x, y) of one polygon, to the nearest pixel."""
        number = drawn_whole(self.vertices, rng)
        # One corner in each of `number` equal sectors, so that no polygon is a mere sliver.
        angles = (np.arange(number) + rng.random(number)) * 2 * np.pi / number
        arms = rng.uniform(0.3, 1, (number, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        across = drawn(self.across_px, rng) * min(height, width) / self.at_size_px
        arms *= across / np.ptp(arms, axis=0).max()
        return np.asarray(np.rint(rng.integers((width, height)) + arms), np.int32)
