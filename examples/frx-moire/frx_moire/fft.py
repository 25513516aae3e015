import torch
from torch import Tensor


def fft(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute difference of spectra, in which stripes are a few large values."""
    return torch.fft.rfft2((restored - clean).float(), norm="ortho").abs().mean()
