"""Blur along a line, as from a moving camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import attrs
import cv2
import numpy as np
from annotated_types import Len

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


@attrs.frozen(kw_only=True)
class MotionBlur:
    """Averages along a straight line, horizontal, vertical or diagonal.

    The line is `length_px` long, an odd number drawn uniformly from that range (both ends
    included; (n, n) fixes it); a diagonal line passes through as many pixels. Its direction is
    drawn uniformly from `directions`: "diagonal" falls to the right, "antidiagonal" rises. The
    weights are equal and sum to 1; the border is reflected without repeating the edge pixel.
    """

    length_px: tuple[int, int] = (5, 15)
    directions: Annotated[list[Direction], Len(1)] = attrs.field(
        factory=lambda: ["horizontal", "vertical", "diagonal", "antidiagonal"]
    )

    def __attrs_post_init__(self) -> None:
        low, high = self.length_px
        if not 3 <= low <= high or (low == high and low % 2 == 0):
            raise ValueError(
                f"length_px is ({low}, {high}); it has to hold 3 <= low <= high and an odd length"
            )

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        low, high = self.length_px
        length = 2 * int(rng.integers(low // 2, (high + 1) // 2)) + 1
        direction = self.directions[rng.integers(len(self.directions))]
        image = np.ascontiguousarray(image)
        if direction in ("diagonal", "antidiagonal"):
            return diagonal_mean(image, length, rising=direction == "antidiagonal")
        box = (length, 1) if direction == "horizontal" else (1, length)
        return np.asarray(cv2.blur(image, box, borderType=cv2.BORDER_REFLECT_101), np.uint8)
