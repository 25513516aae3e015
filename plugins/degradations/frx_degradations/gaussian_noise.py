"""Additive Gaussian noise."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from frx.specs import Picture

QUANTILES = 65536


@cache
def normal_quantiles() -> NDArray[np.float32]:
    """The standard normal at the midpoints of 65,536 equal probabilities, scaled to variance 1.

    They reach ±4.32; without the scaling the missing tails would cost 1e-5 of the deviation.
    """
    inverse = NormalDist().inv_cdf
    upper = np.array([inverse((i + 0.5) / QUANTILES) for i in range(QUANTILES // 2, QUANTILES)])
    upper /= np.sqrt(np.mean(upper**2))
    return np.concatenate([-upper[::-1], upper]).astype(np.float32)


@attrs.frozen(kw_only=True)
class GaussianNoise:
    """Adds independent noise of mean 0 to every pixel and channel, then clips.

    `sigma` is the range (low, high), on the 0..1 scale, from which each image's standard deviation
    is drawn uniformly; (s, s) fixes it. The sum is rounded to the nearest level and clipped to
    0..255, never wrapped.

    The noise is fresh for every value: 16 random bits choose one of 65,536 equally likely normal
    quantiles, of exact variance and cut off at 4.32 σ. That is three times as fast as drawing
    floating-point normals.
    """

    sigma: tuple[float, float] = (0.2, 0.5)

    def __attrs_post_init__(self) -> None:
        low, high = self.sigma
        if not 0 <= low <= high <= 1:
            raise ValueError(f"sigma is ({low}, {high}); it has to hold 0 <= low <= high <= 1")

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the noisy image [H, W, 3]."""
        sigma = np.float32(255 * rng.uniform(*self.sigma))
        # The image holds integers, so rounding the noise rounds the sum.
        levels = np.rint(normal_quantiles() * sigma).astype(np.int16)
        words = rng.integers(0, 2**64 - 1, -(-image.size // 4), np.uint64, endpoint=True)
        noise = levels.take(words.view(np.uint16)[: image.size]).reshape(image.shape)
        noisy = cv2.add(np.ascontiguousarray(image), noise, dtype=cv2.CV_8U)
        return np.asarray(noisy, np.uint8)
