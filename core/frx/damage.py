"""Several degradations, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from frx.specs import Degradation

if TYPE_CHECKING:
    from frx.specs import Picture


def damage(
    image: Picture, degradations: Iterable[Degradation], rng: np.random.Generator
) -> Picture | tuple[Picture, Picture]:
    """Return the damaged image [H, W, 3], with a mask [H, W] where a degradation made one.

    A pixel that any of them destroyed is destroyed.
    """
    mask: Picture | None = None
    for degradation in degradations:
        damaged = degradation(image, rng)
        if isinstance(damaged, tuple):
            image, hole = damaged
            mask = hole if mask is None else np.maximum(mask, hole)
        else:
            image = damaged
    return image if mask is None else (image, mask)
