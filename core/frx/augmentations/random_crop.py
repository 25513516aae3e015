"""A piece of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Interval

if TYPE_CHECKING:
    from frx.specs import Picture, Pictures


@attrs.frozen(kw_only=True)
class RandomCrop:
    """Cuts a square out of a sample, at a place drawn anew each time.

    The square's side is `share` of the picture's shorter one, so that a recipe keeps its meaning at
    another size; 1 leaves square pictures whole. All pictures of a sample are cut at the same
    place; pictures of several sizes raise ValueError.
    """

    share: Annotated[float, Interval(gt=0, le=1)] = 0.5

    def __call__(self, pictures: Pictures, rng: np.random.Generator) -> dict[str, Picture]:
        """Return the pictures [size, size, …]."""
        shapes = {picture.shape[:2] for picture in pictures.values()}
        if len(shapes) > 1:
            named = ", ".join(f"{name} {p.shape[1]} × {p.shape[0]}" for name, p in pictures.items())
            raise ValueError(f"random_crop needs pictures of one size, not {named}")
        height, width = shapes.pop()
        size = max(1, round(self.share * min(height, width)))
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        return {
            name: np.ascontiguousarray(picture[top : top + size, left : left + size])
            for name, picture in pictures.items()
        }
