"""The metric `fid`."""

from __future__ import annotations

from typing import Any, ClassVar

from frx.errors import RecipeError
from frx.specs import Tally
from frx_metrics.inception import AsGiven, Features, Inception, TwoSets


class FID:
    """Fréchet distance of two sets, restored and clean, between what Inception sees.

    Pictures [B, 3, H, W], RGB 0..1; one number for a set, 0 for equal ones. It says whether the
    pictures as a whole look like clean ones, not whether each resembles its own. Sets of fewer
    images than features make it too high, so that it compares only with sets of the same number;
    the usual 2048 want ten thousand. Options as for `kid`, which is not biased so. Needs `pip
    install 'frx[distributions]'` and `frx fetch inception_v3_fid`. From arXiv 1706.08500.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(self, *, features: Features = 2048, weights: str | None = None) -> None:
        self.inception = Inception(features=features, weights=weights)
        self.protocol = (
            "FID of torchmetrics, too high below some ten thousand images, so comparable between "
            f"sets of one number of images alone; {self.inception.protocol}"
        )

    def tally(self) -> Tally:
        """Begin a set."""
        from torchmetrics.image.fid import FrechetInceptionDistance

        distance = FrechetInceptionDistance(feature=AsGiven(self.inception.features))
        return TwoSets(self.inception, distance, _read)


def _read(distance: Any, images: int) -> float:
    """The number.

    Raises:
        RecipeError: a single image has no covariance.
    """
    if images < 2:
        raise RecipeError(
            f"metric fid: needs at least two images, and the set has {images}; leave the metric out"
        )
    return float(distance.compute())
