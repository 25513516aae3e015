"""Blur as from a lens out of focus."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from frx_degradations.ranges import drawn, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


def gaussian_weights(sigma: float) -> NDArray[np.float64]:
    """A Gaussian bell out to 3 σ, as multiples of 1/256 that sum to 1.

    With these OpenCV's separable filter works in whole numbers, and gives what its `GaussianBlur`
    gives at half the cost. As there, what rounding takes from a weight the next one gets.
    """
    reach = ceil(3 * sigma)
    weights = cv2.getGaussianKernel(2 * reach + 1, sigma).reshape(-1)
    sums = np.rint(256 * weights[:reach].cumsum()) / 256
    weights[:reach] = sums
    weights[1:reach] -= sums[:-1]
    weights[reach] = 1 - 2 * sums[-1]
    weights[reach + 1 :] = weights[:reach][::-1]
    return np.asarray(weights, np.float64)


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
        sigma = drawn(self.sigma_px, rng)
        if self.at_size_px is not None:
            sigma *= min(image.shape[:2]) / self.at_size_px
        if sigma == 0:
            return image.copy()
        weights = gaussian_weights(sigma)
        blurred = cv2.sepFilter2D(
            np.ascontiguousarray(image), -1, weights, weights, borderType=cv2.BORDER_REFLECT_101
        )
        return np.asarray(blurred, np.uint8)
