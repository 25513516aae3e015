"""Additive Poisson noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from frx_degradations.noise_table import ENTRIES, add_drawn, for_both_signs
from frx_degradations.ranges import drawn, require_range

if TYPE_CHECKING:
    from frx.specs import Picture


def poisson_quantiles(rate: float) -> NDArray[np.int64]:
    """Poisson's distribution at 32,768 equal probabilities, rising."""
    counts = np.arange(round(rate + 12 * np.sqrt(rate)) + 20)
    log_factorials = np.concatenate([[0], np.cumsum(np.log(counts[1:]))])
    # At rate 0 the logarithm is −∞ and its product with the count 0 not a number, but 0.
    logs = counts * np.log(max(rate, 1e-300)) - rate - log_factorials
    reached = np.rint(np.cumsum(np.exp(logs)) * (ENTRIES // 2)).astype(int)
    reached[-1] = ENTRIES // 2
    return np.repeat(counts, np.diff(reached, prepend=0))


@attrs.frozen(kw_only=True)
class PoissonNoise:
    """Adds Poisson counts to every pixel and channel, or takes them away, then clips.

    Each value moves, up or down with equal chance, by a count that has Poisson's distribution: with
    mean λ and variance λ, so by λ ± √λ levels of 255. `rate` is the range (low, high) from which
    each image's λ is drawn uniformly; (λ, λ) fixes it. Noise of this kind does not depend on how
    bright a pixel is, unlike a camera's shot noise; it is imgaug's, which HiFaceGAN is trained on
    (arXiv 2005.05005). The sum is clipped to 0..255, never wrapped.
    """

    rate: tuple[float, float] = (15, 30)

    def __attrs_post_init__(self) -> None:
        require_range("rate", self.rate, most=255)

    def __call__(self, image: Picture, rng: np.random.Generator) -> Picture:
        """Return the noisy image [H, W, 3]."""
        counts = np.minimum(poisson_quantiles(drawn(self.rate, rng)), 255).astype(np.uint8)
        return add_drawn(image, for_both_signs(counts), rng)
