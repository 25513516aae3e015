"""Additive Gaussian noise."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from frx_degradations.noise_table import add_drawn, for_both_signs, scaled, upper_probabilities
from frx_degradations.ranges import drawn, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


@cache
def normal_quantiles() -> NDArray[np.float32]:
    """Sizes of the standard normal at 65,536 equal probabilities' midpoints, for variance 1.

    They reach 4.32; without the scaling the missing tails would cost 1e-5 of the deviation.
    """
    upper = np.array([NormalDist().inv_cdf(p) for p in upper_probabilities()])
    return for_both_signs((upper / np.sqrt(np.mean(upper**2))).astype(np.float32))


@attrs.frozen(kw_only=True)
class GaussianNoise:
    """Adds independent noise of mean 0 to every pixel and channel, then clips.

    `sigma` is the range (low, high), on the 0..1 scale, from which each image's standard deviation
    is drawn uniformly; (s, s) fixes it. The sum is rounded to the nearest level and clipped to
    0..255, never wrapped.

    The noise is fresh for every value: one of 65,536 equally likely normal quantiles, of exact
    variance and cut off at 4.32 σ.
    """

    sigma: tuple[float, float] = (0.2, 0.5)

    def __attrs_post_init__(self) -> None:
        require_range("sigma", self.sigma, most=1)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the noisy image [H, W, 3]."""
        sigma = 255 * drawn(self.sigma, rng)
        # The image holds integers, so rounding the noise rounds the sum.
        return add_drawn(image, scaled(normal_quantiles(), sigma), rng)
