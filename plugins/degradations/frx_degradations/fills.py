"""What covers damaged pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from frx.specs import Picture

Fill = Literal["black", "white", "noise", "color"]


def cover(picture: Picture, where: NDArray[np.bool_], fill: Fill, rng: np.random.Generator) -> None:
    """Change the pixels of a picture [H, W, 3] that `where` [H, W] has, in place.

    "noise" is an independent, uniform level for every pixel and channel, "color" a single colour
    out of all 256³; only these two draw from `rng`.
    """
    match fill:
        case "black":
            picture[where] = 0
        case "white":
            picture[where] = 255
        case "noise":
            picture[where] = rng.integers(0, 256, (np.count_nonzero(where), 3), np.uint8)
        case "color":
            picture[where] = rng.integers(0, 256, 3, np.uint8)
