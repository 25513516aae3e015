"""How feature maps and weights lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def layout(x_BCHW: Tensor) -> torch.memory_format:
    """channels_last, or else contiguous."""
    is_last = x_BCHW.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format
