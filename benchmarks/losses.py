"""SSIM and Sobel losses beside those of other packages, forward and backward.

Eight pictures of 256 px, of which the restored ones have a gradient, in torch's default layout.
In channels_last, as frx trains, torch's convolutions are several times as fast, and with them the
peers, whose users would have to know: there, frx is to be no slower.

SSIM has an 11 px Gaussian window, σ 1.5 and data range 1 everywhere. Borders differ, and with them
the value, in the third digit: frx, torchmetrics and kornia reflect; piq and pytorch-msssim leave
out windows that reach across.

Sobel stands beside two 3 × 3 convolutions of each picture, the root and the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measuring import Row, paired
from frx_losses.sobel import sobel
from frx_losses.ssim import ssim

SIZE_PX, BATCH = 256, 8
LAYOUTS = {"": torch.contiguous_format, ", channels_last": torch.channels_last}

Loss = Callable[[Tensor, Tensor], Tensor]


def similarities() -> dict[str, Loss]:
    """One minus the SSIM, as each package's documentation has it."""
    import kornia
    import piq
    import pytorch_msssim
    from torchmetrics.functional.image import structural_similarity_index_measure

    return {
        "frx": ssim,
        "torchmetrics": lambda x, y: 1 - structural_similarity_index_measure(x, y, data_range=1.0),
        "piq": lambda x, y: 1 - piq.ssim(x, y, downsample=False),
        "kornia": lambda x, y: 1 - kornia.metrics.ssim(x, y, window_size=11).mean(),
        "pytorch-msssim": lambda x, y: 1 - pytorch_msssim.ssim(x, y, data_range=1.0),
    }


def convolved(restored: Tensor, clean: Tensor) -> Tensor:
    """Edges by two convolutions a picture."""
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = [kernel.expand(3, 1, 3, 3) for kernel in (across, across.T)]

    def edges(image: Tensor) -> Tensor:
        gx, gy = (F.conv2d(image, kernel, padding=1, groups=3) for kernel in kernels)
        return torch.sqrt(gx**2 + gy**2 + 1e-8)

    return F.l1_loss(edges(restored), edges(clean))


def trained(loss: Loss, restored: Tensor, clean: Tensor) -> None:
    """Forward and backward."""
    restored.grad = None
    loss(restored, clean).backward()


def rows() -> Iterator[Row]:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(BATCH, 3, SIZE_PX, SIZE_PX, generator=generator)
    restored = (clean + 0.1 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
    for layout, memory_format in LAYOUTS.items():
        given = [picture.clone(memory_format=memory_format) for picture in (restored, clean)]
        given[0].requires_grad_()
        losses = similarities()
        found = paired({name: partial(trained, loss, *given) for name, loss in losses.items()})
        best = found.fastest(*(name for name in losses if name != "frx"))
        yield found.times_better(f"SSIM, {SIZE_PX} px{layout}", best, "≥ 1" if layout else "≥ 2")
        found = paired(
            {
                "frx": partial(trained, sobel, *given),
                "two convolutions": partial(trained, convolved, *given),
            }
        )
        name, aim = f"Sobel, {SIZE_PX} px{layout}", "≥ 1" if layout else "≥ 4"
        yield found.times_better(name, "two convolutions", aim)
