"""One damage out of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Ge, Len

from frx.specs import Degradation

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class OneOf:
    """Applies one of `of`, drawn anew for each image.

    `weights`, one number each, say how often relative to one another; without them all are equally
    likely.
    """

    of: Annotated[list[Degradation], Len(1)]
    weights: list[Annotated[float, Ge(0)]] | None = None

    def __attrs_post_init__(self) -> None:
        if self.weights is None:
            return
        if len(self.weights) != len(self.of):
            raise ValueError(
                f"weights has {len(self.weights)} numbers for {len(self.of)} degradations in of"
            )
        if min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf"):
            raise ValueError("weights must be finite, none below 0 and not all 0")

    def __call__(
        self, image: Picture, rng: np.random.Generator
    ) -> Picture | tuple[Picture, Picture]:
        """Return what the chosen one returns."""
        if self.weights is None:
            return self.of[rng.integers(len(self.of))](image, rng)
        shares = np.array(self.weights) / sum(self.weights)
        return self.of[rng.choice(len(self.of), p=shares)](image, rng)
