"""The metric `l1`."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from frx.regions import mean_of_each


class L1:
    """Mean absolute difference, 0 for identical images and at most 1.

    The mean over the three channels of the pixels of its region, for each image by itself. An image
    whose region is empty scores NaN. Computed in float32, so it differs from a computation in
    float64 by less than 1e-6.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(self) -> None:
        self.protocol = "RGB, 0..1, mean over images of each image's own mean absolute difference"

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        """Return [B] for [B, 3, H, W]; `region` [B, 1, H, W] is 1 where it counts."""
        return mean_of_each((restored.float() - clean.float()).abs(), region)
