"""A piece of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Ge

if TYPE_CHECKING:
    from frx.specs import Picture, Pictures


@attrs.frozen(kw_only=True)
class RandomCrop:
    """Cuts a square out of a sample, at a place drawn anew each time.

    The square's side is `size_px`; all pictures of a sample are cut at the same place. A picture
    smaller than the square, or pictures of several sizes, raise ValueError.
    """

    size_px: Annotated[int, Ge(1)]

    def __call__(self, pictures: Pictures, rng: np.random.Generator) -> dict[str, Picture]:
        """Return the pictures [size, size, …]."""
        size = self.size_px
        shapes = {picture.shape[:2] for picture in pictures.values()}
        if len(shapes) > 1:
            named = ", ".join(f"{name} {p.shape[1]} × {p.shape[0]}" for name, p in pictures.items())
            raise ValueError(f"random_crop needs pictures of one size, not {named}")
        height, width = shapes.pop()
        if min(height, width) < size:
            raise ValueError(
                f"random_crop cannot cut {size} × {size} pixels out of an image of "
                f"{width} × {height}"
            )
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        return {
            name: np.ascontiguousarray(picture[top : top + size, left : left + size])
            for name, picture in pictures.items()
        }
