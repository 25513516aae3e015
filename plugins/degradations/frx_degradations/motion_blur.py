"""Blur along a line, as from a moving camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
import cv2
import numpy as np
from annotated_types import Ge, Len
from numpy.typing import NDArray

from frx_degradations.odd_sizes import odd_for, refuse_without_odd
from frx_degradations.ranges import drawn, drawn_of

if TYPE_CHECKING:
    from frx.specs import Picture

Direction = Literal["horizontal", "vertical", "diagonal", "antidiagonal"]


# Down and to the right.
STEPS: dict[Direction, tuple[int, int]] = {
    "horizontal": (0, 1),
    "vertical": (1, 0),
    "diagonal": (1, 1),
    "antidiagonal": (1, -1),
}

# From 130 weights on OpenCV takes the Fourier transform, which costs up to 25 times as much.
MOST_WEIGHTS = 129


def line_mean(image: Picture, length: int, direction: Direction) -> Picture:
    """Mean of the `length` pixels, an odd number, on the line through each pixel."""
    height, width = image.shape[:2]
    reach = length // 2
    down, right = STEPS[direction]
    # In one long row of pixels any direction is a stride. A row more than the line needs lets the
    # last pixels' lines, which wrap to the next row's border, end inside the buffer.
    padded = cv2.copyMakeBorder(image, reach, reach + 1, reach, reach, cv2.BORDER_REFLECT_101)
    row = 3 * (width + 2 * reach)
    stride = down * row + 3 * right
    first = reach * row + 3 * reach - reach * stride
    values = padded.reshape(-1)[first : first + height * row + (length - 1) * stride]
    sums = running_sums(values.astype(np.uint16 if length <= 257 else np.int32), length, stride)
    inside = sums[: height * row].reshape(height, row)[:, : 3 * width]
    return np.asarray(cv2.convertScaleAbs(inside, alpha=1 / length), np.uint8).reshape(image.shape)


def running_sums(values: NDArray[Any], length: int, stride: int) -> NDArray[Any]:
    """Sums of `length` values that are `stride` apart, from each value on that has so many.

    Two windows of half the length make one, so the cost grows with the logarithm of the length.
    Where it is odd, they share the value in the middle, or a value is added; whichever is less.
    """
    if length == 1:
        return values
    sums: NDArray[Any]
    if length == 3 or length % 4 == 1:
        last = (length - 1) * stride
        sums = running_sums(values, length - 1, stride)[: len(values) - last]
        sums += values[last:]
        return sums
    half = running_sums(values, (length + 1) // 2, stride)
    apart = length // 2 * stride
    sums = half[:-apart] + half[apart:]
    if length % 2:
        sums -= values[apart : apart + len(sums)]
    return sums


def weighted(image: Picture, weights_LL: NDArray[np.float32]) -> Picture:
    """Correlation with a square of weights of an odd side, the border reflected."""
    height, width = image.shape[:2]
    length = len(weights_LL)
    reach = length // 2
    padded = cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REFLECT_101)
    padded = padded.astype(np.float32)
    total = np.zeros(image.shape, np.float32)
    rows = max(1, MOST_WEIGHTS // length)
    for top in range(0, length, rows):
        some = weights_LL[top : top + rows]
        part = cv2.filter2D(padded[top : top + height + len(some) - 1], -1, some, anchor=(0, 0))
        total += part[:height, :width]
    return np.asarray(cv2.convertScaleAbs(total), np.uint8)


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
            return weighted(image, slanted_line(length, drawn((0, np.pi), rng)))
        return line_mean(image, length, drawn_of(self.directions, rng))
