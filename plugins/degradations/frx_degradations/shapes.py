"""Squares and circles laid over a picture."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Annotated, Literal

import attrs
import numpy as np
from annotated_types import Len
from numpy.typing import NDArray

from frx_degradations.fills import Fill, cover
from frx_degradations.ranges import drawn_whole, require_range

if TYPE_CHECKING:
    from frx.specs import Picture

Kind = Literal["square", "circle"]


@attrs.frozen(kw_only=True)
class Shapes:
    """Covers parts with squares and circles; the mask marks them.

    A picture gets a number of them from `count` (both ends included; one that gets none has an
    empty mask). Each is of a kind out of `kinds`, has its centre anywhere in the picture, and its
    side or diameter is a share of the picture's shorter side from `size_share`, so that a recipe
    means the same at any size: the nearest whole number of pixels, at least one. What lies outside
    the picture is cut off. Squares are upright; a circle has the pixels whose centres are at most
    half a diameter from its own, and is as wide and as high as its diameter.

    Each shape has a fill out of `fills`: "noise" is an independent, uniform level for every pixel
    and channel, "color" one random colour for the whole shape. Later shapes cover earlier ones.
    The mask has all that is covered, also where the fill happens to equal the picture. Everything
    is drawn uniformly; neither the picture's size nor the fills change which shapes one generator
    gives.
    """

    kinds: Annotated[list[Kind], Len(1)] = attrs.field(factory=lambda: ["square", "circle"])
    count: tuple[int, int] = (1, 5)
    size_share: tuple[float, float] = (0.05, 0.25)
    fills: Annotated[list[Fill], Len(1)] = attrs.field(
        factory=lambda: ["black", "white", "noise", "color"]
    )

    def __attrs_post_init__(self) -> None:
        require_range("count", self.count, most=1000)
        require_range("size_share", self.size_share, most=1)

    def __call__(self, image: Picture, rng: np.random.Generator) -> tuple[Picture, Picture]:
        """Return the image with the shapes on it [H, W, 3] and their mask [H, W]."""
        height, width = image.shape[:2]
        damaged, mask = image.copy(), np.zeros((height, width), np.uint8)
        number = drawn_whole(self.count, rng)
        shares, centres = rng.uniform(*self.size_share, number), rng.random((number, 2))
        kinds = rng.integers(len(self.kinds), size=number)
        fills = rng.integers(len(self.fills), size=number)
        # Shapes are drawn by now: how many levels of noise one takes depends on the picture's size.
        for kind, fill, share, (y, x) in zip(kinds, fills, shares, centres, strict=True):
            size = max(1, round(share * min(height, width)))
            rows, down = _span(y * height, size, height)
            columns, right = _span(x * width, size, width)
            if self.kinds[kind] == "circle":
                inside = 255 * (down[:, None] ** 2 + right**2 <= size**2).astype(np.uint8)
            else:
                inside = np.full((len(down), len(right)), 255, np.uint8)
            cover(damaged[rows, columns], inside, self.fills[fill], rng)
            mask[rows, columns] |= inside
        return damaged, mask


def _span(centre: float, size: int, length: int) -> tuple[slice, NDArray[np.int64]]:
    """The pixels of a line that a shape reaches, and twice their distances from its middle.

    Twice, as the middle of an even number of pixels lies between two of them.
    """
    first = floor(centre - (size - 1) / 2)
    span = slice(max(0, first), min(length, first + size))
    return span, 2 * (np.arange(span.start, span.stop) - first) + 1 - size
