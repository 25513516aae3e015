"""Several damages, their order drawn by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Len

from frx.damage import damage
from frx.specs import Degradation

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class InRandomOrder:
    """Applies all of `of`, in an order drawn anew for each image.

    Masks are combined by maximum; without any there is none.
    """

    of: Annotated[list[Degradation], Len(1)]

    def __call__(
        self, image: Picture, rng: np.random.Generator
    ) -> Picture | tuple[Picture, Picture]:
        """Return the damaged image [H, W, 3], with a mask [H, W] where a part makes one."""
        return damage(image, [self.of[i] for i in rng.permutation(len(self.of))], rng)
