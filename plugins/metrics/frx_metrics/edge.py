"""The metric `edge`."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from frx.edges import EdgeDifference
from frx.mean_difference import differences
from frx.regions import mean_of_each


class Edge:
    """Mean absolute difference of Sobel gradient magnitudes.

    0 for identical images and for those that differ in brightness alone; below √20. A magnitude is
    √(gx² + gy² + 1e-8) of one channel in 0..1, a vertical step from 0 to 1 having 4, and the border
    is replicated. The mean is over the three channels of the pixels of its region, for each image
    by itself; along the region's rim they also depend on the pixels next to it. An image whose
    region is empty scores NaN. OpenCV's Sobel in float64 gives the same within 1e-6, and within
    2e-5 where all is flat.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(self) -> None:
        self.protocol = (
            "RGB, 0..1, Sobel 3 × 3 px, unscaled, each channel by itself, replicated border, mean "
            "over images of each image's own mean absolute difference of magnitudes"
        )

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        """Return [B] for [B, 3, H, W]; `region` [B, 1, H, W] is 1 where it counts."""
        return mean_of_each(differences(EdgeDifference, restored, clean), region)
