"""Additive Laplacian noise."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from frx_degradations.noise_table import add_drawn, for_both_signs, scaled, upper_probabilities
from frx_degradations.ranges import drawn, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@cache
def laplacian_quantiles() -> NDArray[np.float32]:
    """Sizes of Laplace's distribution at 65,536 equal probabilities' midpoints, for variance 2.

    They reach 11.1, as the density exp(−|x|) / 2 falls slowly.
    """
    upper = -np.log(2 * (1 - upper_probabilities()))
    return for_both_signs((upper * np.sqrt(2 / np.mean(upper**2))).astype(np.float32))


@attrs.frozen(kw_only=True)
class LaplacianNoise:
    """Adds independent noise with far outliers to every pixel and channel, then clips.

    The noise has the density exp(−|x| / b) / 2b, thus mean 0 and standard deviation b · √2.
    `scale` is the range (low, high), on the 0..1 scale, from which each image's b is drawn
    uniformly; (b, b) fixes it. The sum is rounded to the nearest level and clipped to 0..255,
    never wrapped.
    """

    scale: tuple[float, float] = (0.08, 0.16)

    def __attrs_post_init__(self) -> None:
        require_range("scale", self.scale, most=1)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the noisy image [H, W, 3]."""
        scale = 255 * drawn(self.scale, rng)
        # The image holds integers, so rounding the noise rounds the sum.
        return add_drawn(image, scaled(laplacian_quantiles(), scale), rng)
