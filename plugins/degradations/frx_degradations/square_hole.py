"""Square holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Ge, Interval

from frx_degradations.ranges import drawn_whole, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class SquareHole:
    """Cuts out squares at random places; the mask marks them.

    Each of `count` holes has a side of `size_px` (a number, or a range (low, high) from which it
    is drawn uniformly, both ends included) and lies anywhere at least `margin_px` from every edge,
    uniformly; holes may overlap. They are filled with the level `fill`; 128 is 0 in −1..1.

    Where a picture has no room for hole and margins, the margins shrink first, alike on both
    sides, then the hole, to two pixels less than the shorter side. The mask has the hole alone; a
    ring around it that is to count in training is an option of the loss terms, `ring_px`.
    """

    size_px: tuple[int, int] | Annotated[int, Ge(1)] = 32
    margin_px: Annotated[int, Ge(0)] = 16
    count: Annotated[int, Ge(1)] = 1
    fill: Annotated[int, Interval(ge=0, le=255)] = 128

    def __attrs_post_init__(self) -> None:
        size = self.size_px
        require_range("size_px", (size, size) if isinstance(size, int) else size, 1)

    def __call__(self, image: Picture, rng: np.random.Generator) -> tuple[Picture, Picture]:
        """Return the image with its holes filled [H, W, 3] and the mask [H, W]."""
        height, width = image.shape[:2]
        damaged, mask = image.copy(), np.zeros((height, width), np.uint8)
        for _ in range(self.count):
            size = self.size_px
            if not isinstance(size, int):
                size = drawn_whole(size, rng)
            size = min(size, max(1, min(height, width) - 2))
            rows, columns = self._span(height, size, rng), self._span(width, size, rng)
            damaged[rows, columns] = self.fill
            mask[rows, columns] = 255
        return damaged, mask

    def _span(self, length: int, size: int, rng: np.random.Generator) -> slice:
        room = length - size
        margin = min(self.margin_px, room // 2)
        corner = drawn_whole((margin, room - margin), rng)
        return slice(corner, corner + size)
