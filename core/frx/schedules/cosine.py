"""The cosine schedule."""

import math
from typing import Annotated

from annotated_types import Ge, Interval
from attrs import frozen


@frozen(kw_only=True)
class Cosine:
    """A linear warm-up, then half a cosine down to a floor (arXiv 1608.03983).

    `warmup` is a share of the stage, so a shorter profile of a recipe keeps its shape.
    """

    warmup: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    floor: Annotated[float, Ge(0)] = 0.0

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the factor on the learning rate, `floor`…1."""
        done = min(epoch / epochs, 1.0)
        if done < self.warmup:
            return done / self.warmup
        falling = (done - self.warmup) / (1 - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * falling)) / 2
