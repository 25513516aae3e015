"""Where hair grows, and the drawing of its strands.

A place on the scalp is (a, u): a runs from ear (-1) over the forehead's middle (0) to ear (1),
u from the hairline (0) to the silhouette (1).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Plane, draw_strands
from frx.datasets.drawn_faces.pose import Pose
from frx.datasets.drawn_faces.relief import outline_radius

Array = NDArray[np.float64]

CENTER = np.array([0.0, -0.02])
_TURN = np.radians(94)


class Scalp:
    """Where a head's hair grows, in frontal head coordinates with depth."""

    def __init__(self, identity: Identity, top: float, sides: float, recede: float = 0.0) -> None:
        self._outline = outline_radius(identity)
        self._top, self._sides = top, sides
        at = np.array([0, 0.22, 0.45, 0.62, 0.78, 0.95, 1.1])
        high = identity.forehead_height
        line = np.array([0.255 * high, 0.260 * high, 0.266, 0.252, 0.240, 0.247, 0.258])
        old = np.clip((identity.age_years - 30) / 40, 0, 1) * identity.masculinity
        line = line + old * np.array([0.006, 0.016, 0.024, 0.008, 0, 0, 0])
        line = line + recede * np.array([0.115, 0.105, 0.070, 0.025, 0.004, 0, 0])
        widow = 0.006 * identity.asymmetry[2] * np.array([-1, 0, 0, 0, 0, 0, 0])
        self._at, self._line = at, (line + widow) * (0.4 + 0.6 * identity.face_width)

    def radii(self, a: Array) -> tuple[Array, Array]:
        """Distances of hairline and silhouette from the scalp's centre."""
        size = np.minimum(np.abs(a), 1.1)
        inner = np.interp(size, self._at, self._line)
        angle = 90 - np.degrees(_TURN) * size
        skull = np.interp(-angle, np.linspace(-90, 90, 361), self._outline)
        skull = skull + CENTER[1] * np.cos(_TURN * size)
        volume = (
            self._sides * np.clip((1.2 - size) / 0.3, 0.3, 1)
            + (self._top - self._sides) * np.cos(_TURN * size * 0.9).clip(0) ** 0.8
        )
        return inner, np.maximum(skull + volume, inner + 0.006)

    def place(self, a: Array, u: Array) -> Array:
        """Head coordinates [..., 2] of (a, u)."""
        inner, outer = self.radii(a)
        radius = inner + (outer - inner) * u
        arm = np.stack([np.sin(_TURN * a) * radius, -np.cos(_TURN * a) * radius], -1)
        return np.asarray(arm + CENTER)

    def raise_(self, points: Array) -> Array:
        """Points [..., 2] with the depth of the hair at them, [..., 3]."""
        x, y = points[..., 0], points[..., 1]
        dome = 1 - (x / 0.36) ** 2 - (np.minimum(y + 0.04, 0) / 0.50) ** 2
        depth = 0.285 * np.sqrt(np.maximum(dome, 0)) - 0.04 - 0.10 * np.clip(y - 0.1, 0, 1)
        return np.concatenate([points, depth[..., None]], -1)


class HairDrawing:
    """Strands drawn so far: value (light to dark), a number a strand, coverage."""

    def __init__(self, plane: Plane, pose: Pose, scalp: Scalp) -> None:
        self.image: NDArray[np.uint8] = np.zeros((*plane.shape, 3), np.uint8)
        self._plane, self._pose, self._scalp = plane, pose, scalp

    def fill(self, outline: Array, value: int) -> None:
        """Fill a polygon of frontal points with dark hair."""
        seen = self._pose.project(self._scalp.raise_(outline))
        cv2.fillPoly(self.image, [self._plane.pixels(seen)], (value, 128, 255), cv2.LINE_AA, 4)

    def strands(
        self, paths: Array, values: Array, rng: np.random.Generator, width: float = 0.0024
    ) -> None:
        """Draw paths [strands, points, 2] of frontal points, the last on top."""
        seen = self._plane.pixels(self._pose.project(self._scalp.raise_(paths)))
        numbers = rng.integers(1, 256, len(paths))
        thickness = max(1, round(width * self._plane.n))
        levels = np.clip(values * 255, 1, 255).astype(np.int64)
        colors = np.stack([levels, numbers, np.full_like(levels, 255)], -1)
        # On a coarse canvas a strand is wider than meant: fewer show the same hair.
        every = 2 if self._plane.n < 160 else 1
        draw_strands(self.image, seen[::every], colors[::every].tolist(), thickness)


def locks_of(rng: np.random.Generator, cells: int) -> Callable[[Array], Array]:
    """A smooth random function on 0..1: hair holds together in locks."""
    table = rng.normal(0, 1, cells + 1)

    def at(position: Array) -> Array:
        return np.interp(position, np.linspace(0, 1, cells + 1), table)

    return at
