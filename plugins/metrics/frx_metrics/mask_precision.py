"""Precision of masks."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor


class MaskPrecision:
    """Share of the pixels found to be damaged that are.

    TP / (TP + FP) of each image's own pixels; NaN, which does not count, where nothing was found.
    """

    higher_is_better: ClassVar[bool] = True

    def __init__(self) -> None:
        self.protocol = (
            "mean over images of each image's own TP / (TP + FP), of pixels; images where nothing "
            "was found do not count"
        )

    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        """Return [B] for [B, 1, H, W] of 1 and 0, the truth and what was found."""
        damaged, taken = mask > 0.5, found > 0.5
        return (damaged & taken).sum(dim=(1, 2, 3)) / taken.sum(dim=(1, 2, 3))
