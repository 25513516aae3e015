"""Blind restoration: a network finds the damage itself, and only what it finds is replaced.

Such a network has the class attribute `finds_damage = True`. Beside "image", its prediction of the
whole picture, it gives "mask", [B, 1, H, W]: logits, the higher the more surely damaged.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

# How sure a network has to be of a pixel's damage. Low: a pixel replaced for nothing is predicted
# almost as it was, but one overlooked stays damaged.
MASK_THRESHOLD = 0.1
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


def finds_damage(model: nn.Module) -> bool:
    """Whether a network finds the damage itself."""
    return bool(getattr(model, "finds_damage", False))


def found_mask(outputs: Mapping[str, Tensor], threshold: float) -> Tensor:
    """Return 1 where the network takes a pixel to be damaged, else 0; [B, 1, H, W]."""
    return (outputs["mask"].sigmoid() >= threshold).float()


def composited(
    outputs: Mapping[str, Tensor], degraded: Tensor, threshold: float = MASK_THRESHOLD
) -> dict[str, Tensor]:
    """Put what a network predicts in the place of the damage that it finds, and nowhere else.

    Of outputs with a "mask": "image" is then the composite, [B, 3, H, W], with the very values of
    `degraded` outside "found", the damage as `found_mask`; the prediction is "generated". Those of
    other networks stay as they are.
    """
    if "mask" not in outputs:
        return dict(outputs)
    found = found_mask(outputs, threshold)
    image = torch.where(found > 0, outputs["image"], degraded)
    return {**outputs, "generated": outputs["image"], "found": found, "image": image}
