"""The loss `feature_matching`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def feature_matching(
    made_features: Sequence[Sequence[Tensor]], real_features: Sequence[Sequence[Tensor]]
) -> Tensor:
    """Mean absolute difference of what a discriminator's layers make of both pictures.

    Each holds, for each scale of the discriminator, what its layers give, [B, C, h, w]. One mean a
    layer, their sum a scale, the mean over scales; no gradient goes to `real_features`. Computed in
    float32. From arXiv 1711.11585.
    """
    scales = [
        torch.stack(
            [
                F.l1_loss(one.float(), other.detach().float())
                for one, other in zip(made, real, strict=True)
            ]
        ).sum()
        for made, real in zip(made_features, real_features, strict=True)
    ]
    return torch.stack(scales).mean()
