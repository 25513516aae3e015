"""Memory and time of HiFaceGAN's gated convolution beside the same with all taps side by side.

    python benchmarks/gated_convolution.py

Each form runs forward and backward in a process of its own, on the features of the first
suppression stage at 256 px and width 64. Prints, as multiples of the features' own size, how much
the process's memory grew at its peak, and the time beside that of a plain convolution.
"""

import resource
import time
from collections.abc import Callable
from multiprocessing import get_context

import torch
from torch import Tensor
from torch.nn import functional as F

from frx_models.gated_convolution import gated_convolution

SIZE_PX, CHANNELS, KERNEL, STRIDE, REPEATS = 256, 64, 3, 2, 10

Form = Callable[[Tensor, Tensor, Tensor], Tensor]


def gated(x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor) -> Tensor:
    """One tap after the other."""
    return gated_convolution(x_BCHW, gate_BThw, weight_OCKK, STRIDE)


def unfolded(x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor) -> Tensor:
    """All taps side by side."""
    taps_BLP = F.unfold(x_BCHW, KERNEL, padding=KERNEL // 2, stride=STRIDE)
    taps_BCTP = taps_BLP.unflatten(1, (-1, KERNEL**2)) * gate_BThw.flatten(2)[:, None]
    return (weight_OCKK.flatten(1) @ taps_BCTP.flatten(1, 2)).unflatten(2, gate_BThw.shape[2:])


def plain(x_BCHW: Tensor, gate_BThw: Tensor, weight_OCKK: Tensor) -> Tensor:
    """No gate."""
    return F.conv2d(x_BCHW, weight_OCKK, stride=STRIDE, padding=KERNEL // 2)


def drawn(size_px: int) -> list[Tensor]:
    """Features, gate and weight."""
    result_px = size_px // STRIDE
    shapes = [
        (1, CHANNELS, size_px, size_px),
        (1, KERNEL**2, result_px, result_px),
        (2 * CHANNELS, CHANNELS, KERNEL, KERNEL),
    ]
    return [torch.rand(shape).requires_grad_() for shape in shapes]


def measured(form: Form) -> tuple[float, float]:
    """Growth of the peak memory over the features' size, and seconds a forward and backward."""
    form(*drawn(8)).sum().backward()  # what torch loads at its first use is not counted
    given = drawn(SIZE_PX)
    before = peak_bytes()
    form(*given).sum().backward()
    grown = peak_bytes() - before
    started = time.perf_counter()
    for _ in range(REPEATS):
        form(*given).sum().backward()
    return grown / given[0].nbytes, (time.perf_counter() - started) / REPEATS


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    results = {}
    for form in (plain, gated, unfolded):
        with get_context("spawn").Pool(1) as pool:
            results[form.__name__] = pool.apply(measured, (form,))
    for name, (memory, seconds) in results.items():
        slower = seconds / results["plain"][1]
        print(f"{name:10} {memory:5.1f} × the features   {slower:5.2f} × plain")


if __name__ == "__main__":
    main()
