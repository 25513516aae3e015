"""The Adam optimiser."""

from collections.abc import Iterable
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import nn


def adam(
    parameters: Iterable[nn.Parameter],
    *,
    lr: Annotated[float, Gt(0)] = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: Annotated[float, Gt(0)] = 1e-8,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
) -> torch.optim.Optimizer:
    """Adaptive moments, the field's usual choice (arXiv 1412.6980)."""
    return torch.optim.Adam(
        parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True
    )
