"""A convolution whose taps are weighted anew at every place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def gated_convolution(
    x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor, stride: int
) -> Tensor:
    """Convolve, with each of the T = K · K taps multiplied by a number a place of the result.

        y[o, i] = Σ_t gate[t, i] · Σ_c weight[o, c, t] · x[c, j],   j = stride · i + offset of t

    The border is zero and K // 2 wide, so with stride 1 the result is as large as `x_BCHW`; with
    another, h = ⌈H / stride⌉ and w likewise. Where the gate is 1 this is an ordinary convolution.

    A gate has one number for all channels. So the gated taps are not kept side by side, T times as
    large as `x_BCHW`, as unfolding it would: one tap after the other is gated and goes through its
    own 1 × 1 convolution, and the way back gates it once more.

    Raises:
        ValueError: the gate is not of the result's size.
    """
    size = weight_OCKK.shape[-1]
    wanted = (len(x_BCHW), size**2, *(-(-side // stride) for side in x_BCHW.shape[-2:]))
    if gate_BThw.shape != wanted:
        raise ValueError(f"the gate is {tuple(gate_BThw.shape)}; it has to be {wanted}")
    device = x_BCHW.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x_BCHW, gate_BThw, weight_OCKK = (
            tensor.to(dtype) for tensor in (x_BCHW, gate_BThw, weight_OCKK)
        )
    result: Tensor = _GatedConvolution.apply(x_BCHW, gate_BThw, weight_OCKK, stride)
    return result


def taps(x_BCHW: Tensor, size: int, stride: int) -> list[Tensor]:
    """What each tap sees at each place of the result: views [B, C, h, w], row by row."""
    return _views(F.pad(x_BCHW, [size // 2] * 4), size, stride)


def _views(padded_BCHW: Tensor, size: int, stride: int) -> list[Tensor]:
    height, width = (side - size + 1 for side in padded_BCHW.shape[-2:])
    return [
        padded_BCHW[..., row : row + height : stride, column : column + width : stride]
        for row in range(size)
        for column in range(size)
    ]


class _GatedConvolution(torch.autograd.Function):
    """Sums in float32 at least, whatever the tensors are."""

    @staticmethod
    def forward(
        context: Any, x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor, stride: int
    ) -> Tensor:
        context.save_for_backward(x_BCHW, gate_BThw, weight_OCKK)
        context.stride = stride
        size, outputs = weight_OCKK.shape[-1], len(weight_OCKK)
        shape = (len(x_BCHW), outputs, *gate_BThw.shape[-2:])
        y_BOhw = _zeros(shape, x_BCHW)
        for t, tap_BChw in enumerate(taps(x_BCHW, size, stride)):
            y_BOhw += F.conv2d(tap_BChw * gate_BThw[:, t : t + 1], _tap(weight_OCKK, t))
        return y_BOhw.to(x_BCHW.dtype)

    @staticmethod
    @once_differentiable
    def backward(context: Any, dy_BOhw: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, gate_BThw, weight_OCKK = context.saved_tensors
        size, margin = weight_OCKK.shape[-1], weight_OCKK.shape[-1] // 2
        dx_padded = _zeros(
            [side + 2 * margin * (i > 1) for i, side in enumerate(x_BCHW.shape)], x_BCHW
        )
        dgate_BThw, dweight_OCT = torch.empty_like(gate_BThw), weight_OCKK.flatten(2).clone()
        dy_PO = _places(dy_BOhw)
        for t, (tap_BChw, dx_tap_BChw) in enumerate(
            zip(
                taps(x_BCHW, size, context.stride),
                _views(dx_padded, size, context.stride),
                strict=True,
            )
        ):
            gate_B1hw = gate_BThw[:, t : t + 1]
            dweight_OCT[..., t] = dy_PO.T @ _places(tap_BChw * gate_B1hw)
            dgated_BChw = F.conv2d(dy_BOhw, _tap(weight_OCKK, t).transpose(0, 1))
            dgate_BThw[:, t] = (dgated_BChw * tap_BChw).sum(1)
            dx_tap_BChw += dgated_BChw * gate_B1hw
        dx_BCHW = dx_padded[..., margin : -margin or None, margin : -margin or None]
        return dx_BCHW.to(x_BCHW.dtype), dgate_BThw, dweight_OCT.view_as(weight_OCKK), None


def _tap(weight_OCKK: Tensor, t: int) -> Tensor:
    """A 1 × 1 convolution [O, C, 1, 1]."""
    return weight_OCKK.flatten(2)[..., t, None, None]


def _places(x_BChw: Tensor) -> Tensor:
    """One row of channels a place, [B · h · w, C]; no copy where x is channels_last."""
    return x_BChw.permute(0, 2, 3, 1).reshape(-1, x_BChw.shape[1])


def _zeros(shape: Any, like: Tensor) -> Tensor:
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.zeros(shape, dtype=dtype, device=like.device).contiguous(
        memory_format=torch.channels_last
    )
