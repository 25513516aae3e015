"""Intersection over union of masks."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor


class MaskIoU:
    """Intersection over union of the damage found and the damage there is.

    TP / (TP + FP + FN) of each image's own pixels, also known as the Jaccard index; 1 where nothing
    is damaged and nothing found.
    """

    higher_is_better: ClassVar[bool] = True

    def __init__(self) -> None:
        self.protocol = (
            "mean over images of each image's own TP / (TP + FP + FN), of pixels; 1 where nothing "
            "is damaged and nothing found"
        )

    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        """Return [B] for [B, 1, H, W] of 1 and 0, the truth and what was found."""
        damaged, taken = mask > 0.5, found > 0.5
        both = (damaged & taken).sum(dim=(1, 2, 3))
        either = (damaged | taken).sum(dim=(1, 2, 3))
        return torch.where(either == 0, 1.0, both / either)
