"""Pictures turned, scaled and shifted, and brought back, without aliasing."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from frx import images
from frx.photograph import Samples

Matrix = NDArray[np.float64]


@frozen
class Place:
    """A rectangle of a picture, in pixels; `bottom` and `right` lie just outside."""

    top: int
    left: int
    bottom: int
    right: int

    def bands(self, most: int) -> Iterator[Place]:
        """Itself in bands from top to bottom, of `most` pixels or one row each."""
        width = max(0, self.right - self.left)
        rows = max(1, most // max(1, width))
        for top in range(self.top, self.bottom if width else self.top, rows):
            yield evolve(self, top=top, bottom=min(top + rows, self.bottom))

    @property
    def slices(self) -> tuple[slice, slice]:
        """What to index a picture with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def warp(pixels: Samples, matrix: Matrix, *, size: tuple[int, int]) -> Samples:
    """`matrix` [2, 3] applied to a picture [H, W(, C)], without aliasing where it shrinks.

    `size` is height and width of the result. The picture is mirrored beyond its edges.
    """
    small, matrix = _shrunk(pixels, matrix, scale_of(matrix))
    return _warped(small, matrix, size, cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101)


def warp_back(pixels: Samples, matrix: Matrix, *, place: Place) -> Samples:
    """What `warp` with `matrix` made, brought back to `place` of the picture that it was made of.

    Without aliasing where the way back shrinks; what lies outside repeats the edge.
    """
    inverse: Matrix = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    small, inverse = _shrunk(pixels, inverse, 1 / scale_of(matrix))
    inverse = inverse - [[0, 0, place.left], [0, 0, place.top]]
    size = (place.bottom - place.top, place.right - place.left)
    return _warped(small, inverse, size, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)


def scale_of(matrix: Matrix) -> float:
    """How many pixels of the result one of the picture becomes, along one side."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def magnified(matrix: Matrix, factor: float) -> Matrix:
    """The matrix whose result is that of `matrix`, `factor` times as large."""
    # Coordinates name the centres of pixels, and the outer edge is what stays in place.
    return factor * matrix + [[0, 0, 0.5 * (factor - 1)], [0, 0, 0.5 * (factor - 1)]]


def _shrunk(pixels: Samples, matrix: Matrix, scale: float) -> tuple[Samples, Matrix]:
    """The picture averaged down as far as `scale` says, and the matrix that goes on from there.

    Warping samples points; what would alias is averaged away before.
    """
    if scale >= 1:
        return pixels, matrix
    height, width = pixels.shape[:2]
    small = images.resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    x, y = width / small.shape[1], height / small.shape[0]
    # Resizing keeps the outer edges, so centres of pixels lie half a pixel off: 0.5 (x − 1).
    grown = np.array([[x, 0, 0.5 * (x - 1)], [0, y, 0.5 * (y - 1)], [0, 0, 1]])
    return small, matrix @ grown


def _warped(
    pixels: Samples, matrix: Matrix, size: tuple[int, int], interpolation: int, border: int
) -> Samples:
    if pixels.shape[:2] == size and np.array_equal(matrix, np.eye(2, 3)):
        return pixels.copy()
    if min(pixels.shape[:2]) == 1:
        border = cv2.BORDER_REPLICATE  # OpenCV would mirror a single row for ever
    warped: Samples = cv2.warpAffine(  # type: ignore[assignment]
        pixels, matrix, size[::-1], flags=interpolation, borderMode=border
    )
    return warped
