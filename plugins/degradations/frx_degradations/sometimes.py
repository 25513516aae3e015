"""A damage that not every image gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Interval, Len

from frx.damage import damage
from frx.specs import Degradation

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class Sometimes:
    """Applies `of` to a share of the images and leaves the others as they are.

    `of` is one degradation, or a list applied in its order; `probability` is the share. An image
    left alone comes back as a copy, without a mask.
    """

    of: Degradation | Annotated[list[Degradation], Len(1)]
    probability: Annotated[float, Interval(ge=0, le=1)] = 0.5

    def __call__(
        self, image: Picture, rng: np.random.Generator
    ) -> Picture | tuple[Picture, Picture]:
        """Return the damaged image [H, W, 3], with a mask [H, W] where a part makes one."""
        if rng.random() >= self.probability:
            return image.copy()
        return damage(image, self.of if isinstance(self.of, list) else [self.of], rng)
