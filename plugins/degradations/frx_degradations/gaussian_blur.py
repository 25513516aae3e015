"""Blur as from a lens out of focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Ge

from frx_degradations.ranges import require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class GaussianBlur:
    """Averages around each pixel with the weights of a Gaussian bell.

    `sigma_px` is the range (low, high) from which each image's standard deviation is drawn
    uniformly; (s, s) fixes it, and 0 changes nothing. With `at_size_px` these pixels are of a
    picture whose shorter side has so many, and the deviation grows or shrinks with any other. The
    kernel reaches 3 σ to each side; the border is reflected without repeating the edge pixel.
    """

    sigma_px: tuple[float, float] = (1, 3)
    at_size_px: Annotated[int, Ge(1)] | None = None

    def __attrs_post_init__(self) -> None:
        require_range("sigma_px", self.sigma_px, most=1000)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the blurred image [H, W, 3]."""
        sigma = rng.uniform(*self.sigma_px)
        if self.at_size_px is not None:
            sigma *= min(image.shape[:2]) / self.at_size_px
        size = 2 * int(np.ceil(3 * sigma)) + 1
        if size == 1:
            return image.copy()
        blurred = cv2.GaussianBlur(
            np.ascontiguousarray(image), (size, size), sigma, borderType=cv2.BORDER_REFLECT_101
        )
        return np.asarray(blurred, np.uint8)
