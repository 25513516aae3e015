"""What covers damaged pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from frx.specs import Picture

Fill = Literal["black", "white", "noise", "color"]


def cover(picture: Picture, where: Picture, fill: Fill, rng: np.random.Generator) -> None:
    """Change the pixels of a picture [H, W, 3] at which `where` [H, W] is not 0, in place.

    "noise" is an independent, uniform level for every pixel and channel, "color" a single colour
    out of all 256³; only these two draw from `rng`.
    """
    match fill:
        case "black":
            level = np.zeros_like(picture)
        case "white":
            level = np.full_like(picture, 255)
        case "noise":
            level = rng.integers(0, 256, picture.shape, np.uint8)
        case "color":
            level = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), picture.shape).copy()
    cv2.copyTo(level, where, dst=picture)
