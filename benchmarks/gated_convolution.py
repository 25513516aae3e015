"""HiFaceGAN's gated convolution beside the same with all taps side by side.

Forward and backward, on the features of the first suppression stage at 256 px and width 64: in
float32 as torch lays pictures out by itself, and in bfloat16 and channels_last, as frx trains.
Memory is how much a fresh process grew at its peak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measuring import Measured, Row, alone, paired, peak_bytes
from frx_models.gated_convolution import gated_convolution

SIZE_PX, CHANNELS, KERNEL, STRIDE = 256, 64, 3, 2
MEMORY_ROUNDS = 5

Form = Callable[[Tensor, Tensor, Tensor], Tensor]


def gated(x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor) -> Tensor:
    """A few rows after the others."""
    return gated_convolution(x_BCHW, gate_BThw, weight_OCKK, STRIDE)


def unfolded(x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor) -> Tensor:
    """All taps side by side."""
    taps_BLP = F.unfold(x_BCHW, KERNEL, padding=KERNEL // 2, stride=STRIDE)
    taps_BCTP = taps_BLP.unflatten(1, (-1, KERNEL**2)) * gate_BThw.flatten(2)[:, None]
    return (weight_OCKK.flatten(1) @ taps_BCTP.flatten(1, 2)).unflatten(2, gate_BThw.shape[2:])


FORMS = {"frx": gated, "unfold + matmul": unfolded}


def drawn(size_px: int, as_trained: bool) -> list[Tensor]:
    """Features, gate and weight."""
    result_px = size_px // STRIDE
    shapes = [
        (1, CHANNELS, size_px, size_px),
        (1, KERNEL**2, result_px, result_px),
        (2 * CHANNELS, CHANNELS, KERNEL, KERNEL),
    ]
    layout = torch.channels_last if as_trained else torch.contiguous_format
    return [torch.rand(shape).contiguous(memory_format=layout).requires_grad_() for shape in shapes]


def trained(form: Form, given: list[Tensor], as_trained: bool) -> None:
    """Forward and backward."""
    with torch.autocast("cpu", torch.bfloat16, enabled=as_trained):
        result = form(*given)
    result.sum().backward()


def grown(form: Form, as_trained: bool) -> float:
    """Growth of this process's peak memory over the features' size."""
    trained(form, drawn(8, as_trained), as_trained)  # what torch loads at first does not count
    given = drawn(SIZE_PX, as_trained)
    before = peak_bytes()
    trained(form, given, as_trained)
    return (peak_bytes() - before) / given[0].nbytes


def rows() -> Iterator[Row]:
    kinds = {
        f"gated convolution, {SIZE_PX} px, {how}": as_trained
        for how, as_trained in (("fp32", False), ("bf16, channels_last", True))
    }
    # All memory before all times: a process's peak begins at the size of the one that starts it.
    for name, as_trained in kinds.items():
        memory = {
            key: [alone(grown, form, as_trained) for _ in range(MEMORY_ROUNDS)]
            for key, form in FORMS.items()
        }
        yield Measured(memory).share(f"{name}: memory", "unfold + matmul", "≤ 0.333")
    for name, as_trained in kinds.items():
        given = drawn(SIZE_PX, as_trained)
        times = paired(
            {key: partial(trained, form, given, as_trained) for key, form in FORMS.items()}
        )
        yield times.share(f"{name}: time", "unfold + matmul", "≤ 1")
