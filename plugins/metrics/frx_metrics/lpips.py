"""The metric `lpips`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from frx.lpips_distance import LpipsDistance, Network


class LPIPS:
    """LPIPS: how unlike the restored and the clean picture look to people.

    Pictures [B, 3, H, W], RGB 0..1; [B] comes back, 0 for equal ones and seldom above 1. `network`
    is "alex", whose judgement comes nearest to people's, "vgg" or "squeeze"; each gives other
    numbers. Do not judge by the network that a model was trained with. `weights` is the trunk as
    torchvision saves it, a path or a name `frx fetch` knows; any other than torchvision's own gives
    numbers that compare with no other LPIPS, and `protocol` says so. Pictures below 31 × 31 pixels
    (vgg: 16 × 16, squeeze: 17 × 17) raise ValueError. From arXiv 1801.03924.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(self, *, network: Network = "alex", weights: str | None = None) -> None:
        self.distance = LpipsDistance(network=network, weights=weights)
        self.protocol = self.distance.protocol

    @torch.no_grad()
    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One number an image."""
        distances: Tensor = self.distance.to(restored.device)(restored, clean)
        return distances
