"""Holes as a brush leaves them."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi, radians, sin
from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Interval

from frx_degradations.ranges import drawn, drawn_whole, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class BrushHole:
    """Paints over parts with free-form brush strokes; the mask marks them.

    The idea of DeepFill v2 (arXiv 1806.03589): a stroke starts anywhere, in any direction, and at
    each of its vertices turns by an angle from `turn_deg`, to the left and to the right in turn,
    as a hand rubs something out. Vertices stay inside the picture; joints and ends are round.

    Options with two numbers are ranges (low, high), both ends included, drawn from uniformly:
    `strokes` for each picture, `vertices` and `width_share` for each stroke, `length_share` and
    `turn_deg` for each straight piece. Lengths and widths are shares of the picture's shorter
    side, so that a recipe means the same at any size; a brush is the nearest odd number of pixels
    wide.

    Painting ends before the piece by which the picture would lose more than `max_share` of its
    pixels. What is painted has the level `fill`; 128 is 0 in −1..1.
    """

    strokes: tuple[int, int] = (1, 4)
    vertices: tuple[int, int] = (4, 12)
    length_share: tuple[float, float] = (0.05, 0.3)
    width_share: tuple[float, float] = (0.05, 0.15)
    turn_deg: tuple[float, float] = (90, 180)
    max_share: Annotated[float, Interval(gt=0, le=1)] = 0.3
    fill: Annotated[int, Interval(ge=0, le=255)] = 128

    def __attrs_post_init__(self) -> None:
        require_range("strokes", self.strokes, 1, 1000)
        require_range("vertices", self.vertices, 1, 1000)
        require_range("length_share", self.length_share, most=1)
        require_range("width_share", self.width_share, most=1)
        require_range("turn_deg", self.turn_deg, most=360)
        if self.width_share[1] ** 2 > self.max_share:
            raise ValueError(
                f"width_share reaches {self.width_share[1]}: a single dab of that brush can pass "
                f"the max_share of {self.max_share}"
            )

    def __call__(self, image: Picture, rng: np.random.Generator) -> tuple[Picture, Picture]:
        """Return the painted image [H, W, 3] and the mask [H, W]."""
        height, width = image.shape[:2]
        damaged, mask = image.copy(), self._painted(height, width, rng)
        cv2.copyTo(np.full_like(image, self.fill), mask, dst=damaged)
        return damaged, mask

    def _painted(self, height: int, width: int, rng: np.random.Generator) -> Picture:
        mask = np.zeros((height, width), np.uint8)
        for _ in range(drawn_whole(self.strokes, rng)):
            width_px = drawn(self.width_share, rng) * min(height, width)
            # OpenCV draws a line of even thickness one pixel wider, an odd one two pixels.
            thickness = max(1, 2 * round((width_px - 1) / 2))
            vertices = self._vertices(height, width, rng)
            for start, end in pairwise([vertices[0], *vertices]):  # a dab, then the pieces
                more = cv2.line(mask.copy(), start, end, 255, thickness)
                if cv2.countNonZero(more) > self.max_share * mask.size:
                    return mask
                mask = np.asarray(more, np.uint8)
        return mask

    def _vertices(self, height: int, width: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """The pixels (x, y) that a stroke goes through."""
        x, y = drawn((0, width - 1), rng), drawn((0, height - 1), rng)
        vertices = [(round(x), round(y))]
        heading, side = drawn((0, 2 * pi), rng), 1
        for _ in range(drawn_whole(self.vertices, rng) - 1):
            length = drawn(self.length_share, rng) * min(height, width)
            x = min(max(x + length * cos(heading), 0), width - 1)
            y = min(max(y + length * sin(heading), 0), height - 1)
            vertices.append((round(x), round(y)))
            heading += side * radians(drawn(self.turn_deg, rng))
            side = -side
        return vertices
