"""Binary cross-entropy."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from frx.errors import RecipeError


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of a mask's logits, mean over pixels.

    Both [B, 1, H, W]: logits of any size, the higher the more surely damaged, and a target of 1
    where pixels were destroyed, else 0; computed in float32. In a recipe: on = "mask",
    target = "mask". Logits and target of different shapes raise RecipeError.
    """
    if logits.shape != target.shape:
        raise RecipeError(
            f"loss bce: the logits are {list(logits.shape)} and their target "
            f'{list(target.shape)}; a mask\'s are on = "mask", target = "mask"'
        )
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())
