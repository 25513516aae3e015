"""The square on which a face is drawn: head coordinates, windows, noise, anti-aliased strokes.

Head coordinates have their origin between the eyes of a frontal face, x to the right and y down, in
sides of the picture, so that a drawing does not depend on its resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

# Float32 at run time; numpy's stubs lose the precision when a Python number takes part.
Floats = NDArray[np.floating]

# Where FFHQ's alignment puts the middle between the eyes.
ORIGIN = (0.498, 0.469)


PICTURE = (-ORIGIN[0], 1 - ORIGIN[0], -ORIGIN[1], 1 - ORIGIN[1])


class Plane:
    """A rectangle (left, right, top, bottom in head coordinates) at `n` pixels a side."""

    def __init__(self, n: int, bounds: tuple[float, float, float, float] = PICTURE) -> None:
        left, right, top, bottom = bounds
        self.n = n
        self.columns = slice(round((left + ORIGIN[0]) * n), round((right + ORIGIN[0]) * n))
        self.rows = slice(round((top + ORIGIN[1]) * n), round((bottom + ORIGIN[1]) * n))
        across = np.arange(self.columns.start, self.columns.stop, dtype=np.float32)
        down = np.arange(self.rows.start, self.rows.stop, dtype=np.float32)
        self.x: Floats = ((across + 0.5) / n - np.float32(ORIGIN[0]))[None, :]
        self.y: Floats = ((down + 0.5) / n - np.float32(ORIGIN[1]))[:, None]
        self.shape = (len(down), len(across))
        self._extent = (right - left, bottom - top)
        self._corner = np.array([self.columns.start, self.rows.start], np.float64)

    def zeros(self) -> Floats:
        """A map of nothing."""
        return np.zeros(self.shape, np.float32)

    def pixels(self, points: NDArray[np.floating]) -> NDArray[np.int32]:
        """Head coordinates [..., 2] in OpenCV's fixed point with 4 fractional bits."""
        at = (points + np.array(ORIGIN)) * self.n - self._corner - 0.5
        return np.asarray(np.rint(at * 16), np.int32)

    def window(self, x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice]:
        """The rows and columns that hold a rectangle of head coordinates."""

        def span(low: float, high: float, origin: float, offset: int, length: int) -> slice:
            start = int(np.clip((low + origin) * self.n - offset, 0, length - 1))
            stop = int(np.clip(np.ceil((high + origin) * self.n) - offset, start + 1, length))
            return slice(start, stop)

        return (
            span(y0, y1, ORIGIN[1], self.rows.start, self.shape[0]),
            span(x0, x1, ORIGIN[0], self.columns.start, self.shape[1]),
        )

    def inside(self, signed_distance: Floats) -> Floats:
        """Coverage 0..1 of pixels by their distance (positive inside) to an edge."""
        return np.asarray(np.clip(signed_distance * self.n + 0.5, 0, 1))

    def blur(self, image: Floats, sigma: float) -> Floats:
        """Gaussian blur with `sigma` in sides; strong blurs are made on a smaller copy."""
        sigma_px = sigma * self.n
        if sigma_px < 0.3:
            return image
        shrink = int(sigma_px / 2.5)
        if shrink < 2 or min(self.shape) // shrink < 8:
            return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)
        small = (max(8, image.shape[1] // shrink), max(8, image.shape[0] // shrink))
        blurred = cv2.GaussianBlur(
            cv2.resize(image, small, interpolation=cv2.INTER_AREA), (0, 0), sigma_px / shrink
        )
        return np.asarray(
            cv2.resize(blurred, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.float32
        )

    def noise(self, rng: np.random.Generator, cells: float, cells_down: float = 0) -> Floats:
        """Smooth normal noise with `cells` a side; the same picture at every resolution."""
        lattice = rng.standard_normal(
            (ceil((cells_down or cells) * self._extent[1]), ceil(cells * self._extent[0])),
            dtype=np.float32,
        )
        shrinks = cells > self.n
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(lattice, self.shape[::-1], interpolation=how), np.float32)

    def polygon(self, points: NDArray[np.floating]) -> Floats:
        """Coverage 0..1 of a polygon."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self.pixels(points)], 255, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    def line(self, points: NDArray[np.floating], width: float, closed: bool = False) -> Floats:
        """Coverage 0..1 of a line `width` sides thick; thinner than a pixel it is fainter."""
        mask = np.zeros(self.shape, np.uint8)
        thickness = max(1, round(width * self.n))
        level = 255 * min(1.0, width * self.n)
        cv2.polylines(mask, [self.pixels(points)], closed, round(level), thickness, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255


class Texture:
    """Noise of skin at several scales, drawn once and used by all that is painted on it."""

    def __init__(self, plane: Plane, rng: np.random.Generator) -> None:
        self.broad = plane.noise(rng, 10)
        self.soft = plane.noise(rng, 34)
        self.middle = plane.noise(rng, 110)
        self.fine = plane.noise(rng, 220)


def draw_strands(
    image: NDArray[np.uint8],
    points: NDArray[np.int32],
    colors: Sequence[Sequence[int]],
    thickness: int,
) -> None:
    """Draw polylines [strands, points, 2] (fixed point) in order, each in one colour."""
    for path, color in zip(points, colors, strict=True):
        cv2.polylines(image, [path], False, color, thickness, cv2.LINE_AA, 4)


def bell(distance: Floats, width: float) -> Floats:
    """A Gaussian of unit height."""
    return np.asarray(np.exp(-0.5 * np.square(distance / np.float32(width))))


def step(low: float, high: float, value: Floats) -> Floats:
    """The smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def mix(image: Floats, color: Sequence[float] | Floats, weight: Floats) -> None:
    """Blend `color` into `image` [H, W, 3] in place."""
    image += (np.asarray(color, np.float32) - image) * weight[..., None]


def linear(color: Sequence[float]) -> Floats:
    """An sRGB colour in linear light, with the gamma of 2 that drawing uses throughout."""
    return np.square(np.asarray(color, np.float32))
