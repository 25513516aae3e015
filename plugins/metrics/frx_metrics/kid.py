"""The metric `kid`."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge

from frx.errors import RecipeError
from frx.specs import Tally
from frx_metrics.inception import AsGiven, Features, Inception, TwoSets

_SEED = 0


class KID:
    """Kernel distance of two sets, restored and clean, between what Inception sees.

    Pictures [B, 3, H, W], RGB 0..1; one number for a set: the squared maximum mean discrepancy with
    the kernel (x · y / features + 1)³, mean over `subsets` draws of `subset_size` images. It is not
    biased by the number of images, and may fall a little below 0. `features` is the layer of
    Inception that is looked at, where 2048 is the usual one; `weights` a path or a name `frx fetch`
    knows. The draws are the same each time. Needs `pip install 'frx[distributions]'` and `frx fetch
    inception_v3_fid`. From arXiv 1801.01401.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(
        self,
        *,
        features: Features = 2048,
        subsets: Annotated[int, Ge(1)] = 100,
        subset_size: Annotated[int, Ge(2)] = 100,
        weights: str | None = None,
    ) -> None:
        self.inception = Inception(features=features, weights=weights)
        self.subsets, self.subset_size = subsets, subset_size
        self.protocol = (
            f"KID of torchmetrics, not times 1000, mean over {subsets} draws of {subset_size} "
            f"images with seed {_SEED}, {self.inception.protocol}"
        )

    def tally(self) -> Tally:
        """Begin a set."""
        from torchmetrics.image.kid import KernelInceptionDistance

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it keeps all features: 16 kB an image
            distance = KernelInceptionDistance(
                feature=AsGiven(self.inception.features),
                subsets=self.subsets,
                subset_size=self.subset_size,
            )
        return TwoSets(self.inception, distance, self._read)

    def _read(self, distance: Any, images: int) -> float:
        """The number.

        Raises:
            RecipeError: a subset would be larger than the set.
        """
        if images < self.subset_size:
            raise RecipeError(
                f"metric kid: subset_size = {self.subset_size} is more than the {images} images of "
                "the set; choose a smaller one, which makes KID less sure, not biased"
            )
        # torchmetrics draws from the CPU's global generator, and from no other.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_SEED)
            mean, _ = distance.compute()
        return float(mean)
