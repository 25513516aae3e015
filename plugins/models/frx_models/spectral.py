"""Spectral normalisation that gives the same output in training as in evaluation."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from frx_models.layout import layout

ITERATIONS_AT_FIRST = 30


def spectrally_normalised(convolution: nn.Conv2d) -> nn.Conv2d:
    """Divide a convolution's weight by its largest singular value, as a matrix [O, C · K · K].

    The value is tracked by one power iteration each time that a training step uses it (arXiv
    1802.05957). This one takes place after the use, so that training and evaluation mode agree to
    the last bit; torch's own comes before it.
    """
    parametrize.register_parametrization(convolution, "weight", _Spectral(convolution.weight))
    return convolution


class _Spectral(nn.Module):
    left_O: Tensor

    def __init__(self, weight_OCKK: Tensor) -> None:
        super().__init__()
        matrix_OI = _as_matrix(weight_OCKK.detach())
        left_O = F.normalize(torch.randn(len(matrix_OI)), dim=0)
        for _ in range(0 if matrix_OI.is_meta else ITERATIONS_AT_FIRST):  # no numbers: no vector
            left_O = _advanced(left_O, matrix_OI)
        self.register_buffer("left_O", left_O)

    def forward(self, weight_OCKK: Tensor) -> Tensor:
        with _in_full_precision(weight_OCKK.device.type):
            matrix_OI = _as_matrix(weight_OCKK)
            with torch.no_grad():
                left_O = self.left_O.clone()
                right_I = F.normalize(matrix_OI.T @ left_O, dim=0)
                if self.training:
                    self.left_O.copy_(_advanced(left_O, matrix_OI))
            return weight_OCKK / torch.dot(left_O, matrix_OI @ right_I)


def _as_matrix(weight_OCKK: Tensor) -> Tensor:
    """[O, C · K · K], the columns as they lie in memory: singular values know no order of them."""
    if layout(weight_OCKK) == torch.channels_last:
        return weight_OCKK.permute(0, 2, 3, 1).flatten(1)
    return weight_OCKK.flatten(1)


def _in_full_precision(device: str) -> AbstractContextManager[object]:
    """bfloat16 would leave two digits of a singular value."""
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _advanced(left_O: Tensor, matrix_OI: Tensor) -> Tensor:
    """One power iteration towards the first left singular vector."""
    return F.normalize(matrix_OI @ F.normalize(matrix_OI.T @ left_O, dim=0), dim=0)
