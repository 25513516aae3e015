"""Several degradations, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from frx.build import called
from frx.errors import RecipeError
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
        parts = damaged if isinstance(damaged, tuple) else (damaged,)
        _check(degradation, image, parts)
        if len(parts) == 2:
            hole = parts[1]
            mask = hole if mask is None else np.maximum(mask, hole)
        image = parts[0]
    return image if mask is None else (image, mask)


def _check(degradation: Degradation, image: Picture, parts: tuple[Any, ...]) -> None:
    """Refuse what is not a picture of the same size, alone or with a mask.

    Raises:
        RecipeError: says what came back instead.
    """
    wanted = (image.shape, image.shape[:2])[: len(parts)]
    if len(parts) in (1, 2) and all(
        isinstance(part, np.ndarray) and part.dtype == np.uint8 and part.shape == shape
        for part, shape in zip(parts, wanted, strict=True)
    ):
        return
    given = " and ".join(map(_described, parts)) or "nothing"
    raise RecipeError(
        f"the degradation {called(degradation)} gives {given} for a picture uint8 "
        f"{list(image.shape)}; that shape and type is wanted, alone or with a mask uint8 "
        f"{list(image.shape[:2])}"
    )


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return f"a {type(value).__name__}"
