"""One damage out of several."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import attrs
import numpy as np
from annotated_types import Ge, Len

from frx.specs import Degradation
from frx_degradations.ranges import drawn_of

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class OneOf:
    """Applies one of `of`, drawn anew for each image.

    `weights`, one number each, say how often relative to one another; without them all are equally
    likely. `names`, one each, made of letters, digits, _ and -, make the damages `alternatives`:
    `frx degrade` then writes every image once a damage, as NAME_noisy, NAME_occluded and so on,
    whatever the weights, instead of drawing one.
    """

    of: Annotated[list[Degradation], Len(1)]
    weights: list[Annotated[float, Ge(0)]] | None = None
    names: list[str] | None = None

    def __attrs_post_init__(self) -> None:
        for option, given in (("weights", self.weights), ("names", self.names)):
            if given is not None and len(given) != len(self.of):
                raise ValueError(f"{option} has {len(given)} for {len(self.of)} degradations in of")
        if self.weights is not None and (
            min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf")
        ):
            raise ValueError("weights must be finite, none below 0 and not all 0")
        names = self.names or []
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise ValueError(f"the name {name!r} has to be of letters, digits, _ and - alone")
        if len({name.lower() for name in names}) < len(names):  # some disks know no capitals
            raise ValueError(f"names has one twice, capitals or not: {', '.join(names)}")

    @property
    def alternatives(self) -> dict[str, Degradation]:
        """The degradations by name; empty where they have none."""
        return dict(zip(self.names, self.of, strict=True)) if self.names else {}

    def __call__(
        self, image: Picture, rng: np.random.Generator
    ) -> Picture | tuple[Picture, Picture]:
        """Return what the chosen one returns."""
        if self.weights is None:
            return drawn_of(self.of, rng)(image, rng)
        shares = np.array(self.weights) / sum(self.weights)
        return self.of[rng.choice(len(self.of), p=shares)](image, rng)
