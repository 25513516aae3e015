"""The loss `lpips`."""

from __future__ import annotations

from torch import Tensor

from frx.lpips_distance import LpipsDistance, Network


class LPIPS:
    """Mean LPIPS: how unlike the restored and the clean picture look to people.

    Pictures [B, 3, H, W], RGB 0..1. `network` is "vgg", which the paper's authors advise to
    optimise by, "alex", which they advise to judge by (it is the metric's), or "squeeze", the
    smallest. It is frozen and computes in float32; gradients reach the restored picture only.
    `weights` is the trunk as torchvision saves it, a path or a name `frx fetch` knows; where it is
    missing, making the loss fails, for random weights would teach nothing. Pictures below 16 × 16
    pixels (alex: 31 × 31, squeeze: 17 × 17) raise ValueError. From arXiv 1801.03924.
    """

    def __init__(self, *, network: Network = "vgg", weights: str | None = None) -> None:
        self.distance = LpipsDistance(network=network, weights=weights)

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One number."""
        distances: Tensor = self.distance.to(restored.device)(restored, clean)
        return distances.mean()
