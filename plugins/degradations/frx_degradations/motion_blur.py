"""Blur along a line, as from a moving camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import attrs
import cv2
import numpy as np
from annotated_types import Ge, Len
from numpy.typing import NDArray

from frx_degradations.odd_sizes import odd_for, refuse_without_odd

if TYPE_CHECKING:
    from frx.specs import Picture

Direction = Literal["horizontal", "vertical", "diagonal", "antidiagonal"]


def diagonal_mean(image: Picture, length: int, *, rising: bool) -> Picture:
    """Mean of the `length` pixels on the diagonal through each pixel, falling or rising.

    In a buffer whose rows are read as one pixel longer, the pixel below is the one below and to the
    right; so a vertical box filter does the work at a cost that does not grow with the length.
    """
    height, width = image.shape[:2]
    reach = length // 2
    padded_width = width + 2 * reach
    pixels = (height + 2 * reach) * padded_width
    # The last longer row ends beyond the padded image: one row more keeps it inside the buffer.
    padded = cv2.copyMakeBorder(image, reach, reach + 1, reach, reach, cv2.BORDER_REFLECT_101)
    row = padded_width - 1 if rising else padded_width + 1
    sheared = padded.reshape(-1, 3)[: -(-pixels // row) * row].reshape(-1, row, 3)
    means = cv2.blur(sheared, (1, length)).reshape(-1, 3)[:pixels].reshape(-1, padded_width, 3)
    inside = means[reach : reach + height, reach : reach + width]
    return np.ascontiguousarray(inside, np.uint8)


def slanted_line(length: int, angle: float) -> NDArray[np.float32]:
    """Weights [length, length] of a line through the middle, `angle` radians from horizontal.

    `length` points, one pixel apart, each of which is shared out to the four pixels around it.
    """
    middle = length // 2
    steps = np.arange(length) - middle
    weights = np.zeros((length + 1, length + 1), np.float32)
    rows, columns = middle - steps * np.sin(angle), middle + steps * np.cos(angle)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    for y, share_y in ((top, 1 - down), (top + 1, down)):
        for x, share_x in ((left, 1 - right), (left + 1, right)):
            np.add.at(weights, (y, x), share_y * share_x / length)
    return weights[:-1, :-1]


@attrs.frozen(kw_only=True)
class MotionBlur:
    """Averages along a straight line, in some directions or in any.

    The line is `length_px` long, an odd number drawn uniformly from that range (both ends
    included; (n, n) fixes it). Its direction is drawn uniformly from `directions`: "diagonal"
    falls to the right, "antidiagonal" rises, and both pass through that many pixels; with
    `directions = "any"` the angle is drawn uniformly and the line is that long at every angle. With
    `at_size_px` the range is that of a picture whose shorter side has so many pixels, and grows or
    shrinks with any other; a line of 1 changes nothing. The weights are equal and sum to 1; the
    border is reflected without repeating the edge pixel.
    """

    length_px: tuple[int, int] = (5, 15)
    at_size_px: Annotated[int, Ge(1)] | None = None
    directions: Annotated[list[Direction], Len(1)] | Literal["any"] = attrs.field(
        factory=lambda: ["horizontal", "vertical", "diagonal", "antidiagonal"]
    )

    def __attrs_post_init__(self) -> None:
        refuse_without_odd("length_px", self.length_px)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        image = np.ascontiguousarray(image)
        length = odd_for(image, self.length_px, self.at_size_px, rng)
        if self.directions == "any":
            weights = slanted_line(length, rng.uniform(0, np.pi))
            return np.asarray(cv2.filter2D(image, -1, weights), np.uint8)
        direction = self.directions[rng.integers(len(self.directions))]
        if direction in ("diagonal", "antidiagonal"):
            return diagonal_mean(image, length, rising=direction == "antidiagonal")
        box = (length, 1) if direction == "horizontal" else (1, length)
        return np.asarray(cv2.blur(image, box, borderType=cv2.BORDER_REFLECT_101), np.uint8)
