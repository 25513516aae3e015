"""Parts of a photograph as a network sees them, and how they are put back without a seam."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from frx.align import Face, ffhq_matrix
from frx.warping import Matrix, Place, magnified, scale_of, warp, warp_back

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Values = NDArray[np.float32]

# How wide the border is in which a crop fades into the photograph, as a fraction of its side.
FADING = 0.15
# Where a crop counts at least this much, it fills in what is marked.
FILLS = 0.5
# So many pixels are put back at a time: a dozen numbers are held for each.
AT_ONCE = 2**21


@frozen(eq=False)
class Crop:
    """A part of a photograph, turned and scaled by `matrix` [2, 3] to `height` × `width` pixels.

    One with a `face` fades into the photograph along its border; one without is all of a picture.
    """

    matrix: Matrix
    height: int
    width: int
    face: Face | None = None

    @classmethod
    def of_face(cls, face: Face, size: int) -> Crop:
        """The square around a face, aligned as in FFHQ, at `size` pixels."""
        return cls(ffhq_matrix(face.points, size=size), size, size, face)

    @classmethod
    def of_whole(cls, height: int, width: int, factor: float) -> Crop:
        """A whole picture of that height and width, `factor` times as large."""
        rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
        return cls(magnified(np.eye(2, 3), factor), rows, columns)

    @property
    def side_px(self) -> float:
        """Its shorter side in pixels of the photograph."""
        return min(self.height, self.width) / scale_of(self.matrix)

    def at(self, factor: float) -> Crop:
        """The same part, `factor` times as large."""
        return evolve(
            self,
            matrix=magnified(self.matrix, factor),
            height=round(self.height * factor),
            width=round(self.width * factor),
        )

    def square(self) -> Crop:
        """The largest square in its middle."""
        side = min(self.height, self.width)
        shift = [[0, 0, (self.width - side) / 2], [0, 0, (self.height - side) / 2]]
        return evolve(self, matrix=self.matrix - shift, height=side, width=side)

    def cut(self, pixels: Pixels) -> Values:
        """Return this part of a photograph [H, W, 3] as float32 [h, w, 3] in 0..1."""
        cut = warp(pixels, self.matrix, size=(self.height, self.width))  # type: ignore[type-var]
        return cut.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)

    def cut_mask(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return this part of a mask [H, W]: 255 where anything at all is marked, else 0."""
        marked = warp((mask > 0).astype(np.float32), self.matrix, size=(self.height, self.width))
        # Cubic interpolation rings by up to a tenth beside an edge.
        return np.where(marked > 0.15, np.uint8(255), np.uint8(0))

    def back(self, picture: Values, place: Place) -> Values:
        """Return what became of this part, at any resolution, as it lies in `place`."""
        factor = picture.shape[0] / self.height
        return warp_back(picture, magnified(self.matrix, factor), place=place)

    def place(self, height: int, width: int) -> Place:
        """The smallest rectangle of a photograph of that size that has all of it."""
        corners = np.array([[0, 0], [self.width, 0], [0, self.height], [self.width, self.height]])
        turn, shift = self.matrix[:, :2], self.matrix[:, 2]
        # Of the pixels' centres to the outer edges, and without the last digits of rounding.
        x, y = (np.linalg.solve(turn, (corners - 0.5 - shift).T) + 0.5).round(6)
        return Place(
            top=int(np.clip(np.floor(y.min()), 0, height)),
            left=int(np.clip(np.floor(x.min()), 0, width)),
            bottom=int(np.clip(np.ceil(y.max()), 0, height)),
            right=int(np.clip(np.ceil(x.max()), 0, width)),
        )

    def reaches(self, place: Place) -> bool:
        """Whether any of it may lie in `place`."""
        own = self.place(place.bottom, place.right)
        return own.bottom > place.top and own.right > place.left

    def weights(self, place: Place) -> tuple[Values, Values]:
        """How much each pixel of `place` is this crop's, 0..1, and how near the crop's middle.

        The nearness, above 0, decides between crops that overlap.
        """
        y, x = np.mgrid[place.top : place.bottom, place.left : place.right].astype(np.float32)
        (a, b, c), (d, e, f) = self.matrix.astype(np.float32)
        # From −1 to 1 across the crop.
        u = (2 * (a * x + b * y + c) + 1) / self.width - 1
        v = (2 * (d * x + e * y + f) + 1) / self.height - 1
        if self.face is None:
            return np.ones_like(u), np.ones_like(u)
        inside = _fading(1 - np.abs(u)) * _fading(1 - np.abs(v))
        return inside, np.exp(-6 * (u**2 + v**2)) + np.float32(1e-6)


def _fading(to_edge: Values) -> Values:
    """0 at the edge, 1 from `FADING` on, without a corner in between."""
    t: Values = np.clip(to_edge / (2 * FADING), 0, 1)
    smooth: Values = t * t * (3 - 2 * t)
    return smooth


def shares(crops: Sequence[Crop], number: int, place: Place) -> tuple[Values, Values]:
    """How much of each pixel of `place` crop `number` decides, and how much all do together; 0..1.

    Where faces stand close, each crop has a part of its neighbours: a pixel belongs most to the
    crop whose middle is nearest.
    """
    covered = np.zeros((place.bottom - place.top, place.right - place.left), np.float32)
    total, own = np.zeros_like(covered), np.zeros_like(covered)
    for index, crop in enumerate(crops):
        if not crop.reaches(place):
            continue
        inside, near = crop.weights(place)
        covered = np.maximum(covered, inside)
        total += inside * near
        if index == number:
            own = inside * near
    return np.divide(own, total, out=np.zeros_like(own), where=total > 0), covered


def paste(
    pixels: Pixels,
    crops: Sequence[Crop],
    pictures: Sequence[Values],
    *,
    mask: NDArray[np.uint8] | None = None,
    found: Sequence[Values] | None = None,
    strength: float = 1.0,
) -> tuple[Pixels, Values]:
    """Put what became of the crops into a copy of a photograph [H, W, 3].

    `pictures` are float32 [h, w, 3] in 0..1, at any resolution. With a `mask` [H, W] only what is
    marked is replaced, with `found`, [h, w] in 0..1 for each crop, only what is found there.
    Comes with how much of each pixel was replaced, [H, W] in 0..1; where it is 0, the photograph
    keeps its values to the last bit.
    """
    made, replaced = pixels.copy(), np.zeros(pixels.shape[:2], np.float32)
    limit = np.float32(np.iinfo(pixels.dtype).max)
    for number, (crop, picture) in enumerate(zip(crops, pictures, strict=True)):
        for place in crop.place(*pixels.shape[:2]).bands(AT_ONCE):
            share, covered = shares(crops, number, place)
            if mask is not None:
                covered = ((covered >= FILLS) & (mask[place.slices] > 0)).astype(np.float32)
            if found is not None:
                covered = covered * np.clip(crop.back(found[number], place), 0, 1)
            weight = np.float32(strength) * share * covered
            before, now = pixels[place.slices], made[place.slices]
            change = limit * np.clip(crop.back(picture, place), 0, 1) - before
            values = np.rint(np.clip(now + weight[..., None] * change, 0, limit))
            now[weight > 0] = values[weight > 0].astype(pixels.dtype)
            replaced[place.slices] += share * covered
    return made, replaced
