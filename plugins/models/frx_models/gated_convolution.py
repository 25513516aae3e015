"""A convolution whose taps are weighted anew at every place."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from frx_models.layout import layout

# So many values of gated taps at a time.
MOST, MOST_ON_CUDA = 2**19, 2**24


def gated_convolution(
    x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor, stride: int
) -> Tensor:
    """Convolve, with each of the T = K · K taps multiplied by a number a place of the result.

        y[o, i] = Σ_t gate[t, i] · Σ_c weight[o, c, t] · x[c, j],   j = stride · i + offset of t

    The border is zero and K // 2 wide, so with stride 1 the result is as large as `x_BCHW`; with
    another, h = ⌈H / stride⌉ and w likewise. Where the gate is 1 this is an ordinary convolution.

    The gated taps side by side would be T times as large as `x_BCHW`. They are made for a few rows
    of the result at a time, small enough for a processor's cache, and once more on the way back.

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


@frozen
class _Band:
    """Some rows of the result, and those of x that its taps see, `above` and `below` of them none.

    With r rows, the taps side by side are [B, T · C, r, w].
    """

    result: slice
    seen: slice
    above: int
    below: int

    def taps(self, x_BCHW: Tensor, size: int, stride: int) -> Tensor:
        margin = size // 2
        padded = F.pad(x_BCHW[..., self.seen, :], (margin, margin, self.above, self.below))
        return torch.cat(_views(padded, size, stride), dim=1)

    def add_taps(self, taps_BSrw: Tensor, dx_BCHW: Tensor, size: int, stride: int) -> None:
        """The adjoint of `taps`: add to `dx_BCHW`."""
        batch, channels, _, width = dx_BCHW.shape
        rows, margin = self.seen.stop - self.seen.start, size // 2
        padded = torch.zeros(
            (batch, channels, self.above + rows + self.below, width + 2 * margin),
            dtype=torch.promote_types(dx_BCHW.dtype, torch.float32),
            device=dx_BCHW.device,
        ).contiguous(memory_format=layout(taps_BSrw))
        views = _views(padded, size, stride)
        for view, tap in zip(views, taps_BSrw.chunk(size**2, dim=1), strict=True):
            view += tap
        dx_BCHW[..., self.seen, :] += padded[
            ..., self.above : self.above + rows, margin : margin + width
        ]


def _bands(x_BCHW: Tensor, size: int, stride: int) -> list[_Band]:
    batch, channels, height, width = x_BCHW.shape
    result_height, result_width = -(-height // stride), -(-width // stride)
    most = MOST_ON_CUDA if x_BCHW.is_cuda else MOST
    rows = max(1, most // (batch * channels * size**2 * result_width))
    bands = []
    for start in range(0, result_height, rows):
        stop = min(start + rows, result_height)
        first, last = stride * start - size // 2, stride * (stop - 1) + size // 2 + 1
        seen = slice(max(first, 0), min(last, height))
        bands.append(_Band(slice(start, stop), seen, seen.start - first, last - seen.stop))
    return bands


class _GatedConvolution(torch.autograd.Function):
    """Sums in float32 at least, whatever the tensors are."""

    @staticmethod
    def forward(
        context: Any, x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor, stride: int
    ) -> Tensor:
        context.save_for_backward(x_BCHW, gate_BThw, weight_OCKK)
        context.stride = stride
        size = weight_OCKK.shape[-1]
        weight_OS11 = _side_by_side(weight_OCKK)
        shape = len(x_BCHW), len(weight_OCKK), *gate_BThw.shape[-2:]
        y_BOhw = x_BCHW.new_empty(shape).contiguous(memory_format=layout(x_BCHW))
        for band in _bands(x_BCHW, size, stride):
            taps_BSrw = band.taps(x_BCHW, size, stride)
            _by_tap(taps_BSrw, size).mul_(gate_BThw[:, :, None, band.result])
            y_BOhw[..., band.result, :] = F.conv2d(taps_BSrw, weight_OS11)
        return y_BOhw

    @staticmethod
    @once_differentiable
    def backward(context: Any, dy_BOhw: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, gate_BThw, weight_OCKK = context.saved_tensors
        size, stride = weight_OCKK.shape[-1], context.stride
        weight_SO11 = _side_by_side(weight_OCKK).transpose(0, 1)
        dx_BCHW, dgate_BThw = torch.zeros_like(x_BCHW), torch.empty_like(gate_BThw)
        dweight_OS = torch.zeros_like(
            weight_OCKK.flatten(1), dtype=torch.promote_types(weight_OCKK.dtype, torch.float32)
        )
        for band in _bands(x_BCHW, size, stride):
            dy_BOrw = dy_BOhw[..., band.result, :].contiguous(memory_format=layout(x_BCHW))
            gate_BT1rw = gate_BThw[:, :, None, band.result]
            taps_BSrw = band.taps(x_BCHW, size, stride)
            dtaps_BSrw = F.conv2d(dy_BOrw, weight_SO11)
            dgated_BTCrw, taps_BTCrw = (_by_tap(one, size) for one in (dtaps_BSrw, taps_BSrw))
            dgate_BThw[..., band.result, :] = (dgated_BTCrw * taps_BTCrw).sum(2)
            taps_BTCrw.mul_(gate_BT1rw)
            dweight_OS += _places(dy_BOrw).T @ _places(taps_BSrw)
            dgated_BTCrw.mul_(gate_BT1rw)
            band.add_taps(dtaps_BSrw, dx_BCHW, size, stride)
        dweight_OTC = torch.unflatten(dweight_OS.to(weight_OCKK.dtype), 1, (size**2, -1))
        return dx_BCHW, dgate_BThw, dweight_OTC.transpose(1, 2).reshape(weight_OCKK.shape), None


def _side_by_side(weight_OCKK: Tensor) -> Tensor:
    """A 1 × 1 convolution [O, T · C, 1, 1]."""
    return weight_OCKK.flatten(2).transpose(1, 2).flatten(1)[..., None, None]


def _by_tap(taps_BSrw: Tensor, size: int) -> Tensor:
    """The taps' channels [B, T, C, r, w]; a view."""
    return torch.unflatten(taps_BSrw, 1, (size**2, -1))


def _places(x_BChw: Tensor) -> Tensor:
    """One row of channels a place, [B · h · w, C]; no copy where x is channels_last."""
    return x_BChw.permute(0, 2, 3, 1).reshape(-1, x_BChw.shape[1])
