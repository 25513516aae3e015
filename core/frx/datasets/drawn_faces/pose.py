"""A head's turn: where its points fall in the picture, and its frontal plane seen from there."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.plane import Floats, Plane

# Eyes and mouth corners of a frontal face with their depth: what FFHQ's alignment holds still.
_ANCHORS = np.array(
    [(-0.123, 0, 0.235), (0.123, 0, 0.235), (-0.108, 0.256, 0.24), (0.108, 0.256, 0.24)]
)


@attrs.frozen(eq=False)
class Pose:
    """Rotation of a head, without perspective, re-centred as an aligned photograph would be."""

    rotation: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def of(cls, appearance: Appearance) -> Pose:
        """Positive yaw looks to the picture's right, pitch down; positive roll is clockwise."""
        yaw, pitch, roll = np.radians(
            [appearance.yaw_deg, appearance.pitch_deg, appearance.roll_deg]
        )
        (sy, cy), (sp, cp), (sr, cr) = ((np.sin(a), np.cos(a)) for a in (yaw, pitch, roll))
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        # Products written out by hand: BLAS may sum in another order elsewhere.
        rotation = _product(tilt, _product(nod, turn))
        seen = _apply(rotation, _ANCHORS)[:, :2]
        offset = 0.94 * (_ANCHORS[:, :2].mean(0) - seen.mean(0))
        return cls(rotation, offset)

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Picture positions [..., 2] (head coordinates) of points [..., 3]."""
        seen: NDArray[np.float64] = _apply(self.rotation[:2], points) + self.offset
        return seen

    def in_head(self, direction: Floats) -> Floats:
        """A direction of the picture, as the head sees it."""
        turned = _apply(self.rotation.T, np.asarray(direction, np.float64))
        return turned.astype(np.float32)

    def view(self, depth: Floats, plane: Plane) -> tuple[Floats, Floats]:
        """Maps for `cv2.remap` that show the frontal plane, raised by `depth`, in this pose."""
        down, across = (max(8, length // 2) for length in plane.shape)
        small = cv2.resize(depth, (across, down), interpolation=cv2.INTER_AREA)
        to_column, to_row = across / plane.shape[1] * plane.n, down / plane.shape[0] * plane.n
        left = plane.x[0, 0] - np.float32(0.5 / plane.n)
        top = plane.y[0, 0] - np.float32(0.5 / plane.n)
        (a, b, e), (c, d, f) = self.rotation[:2]
        det = a * d - b * c
        sx = ((np.arange(across) + 0.5) / to_column + left - self.offset[0])[None, :]
        sy = ((np.arange(down) + 0.5) / to_row + top - self.offset[1])[:, None]
        x = base_x = ((d * sx - b * sy) / det).astype(np.float32)
        y = base_y = ((a * sy - c * sx) / det).astype(np.float32)
        back_x, back_y = np.float32((d * e - b * f) / det), np.float32((a * f - c * e) / det)
        for _ in range(7):
            z = cv2.remap(
                small, (x - left) * np.float32(to_column) - np.float32(0.5),
                (y - top) * np.float32(to_row) - np.float32(0.5), cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
            x, y = base_x - back_x * z, base_y - back_y * z
        full = cv2.resize(np.stack([x - left, y - top], -1), plane.shape[::-1])
        return full[..., 0] * plane.n - 0.5, full[..., 1] * plane.n - 0.5


def _product(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((left[:, :, None] * right[None, :, :]).sum(1))


def _apply(matrix: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], -1)
