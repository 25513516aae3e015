"""Restoring a picture of 4 megapixels beside the whole picture at once in float32.

`unet` on 2048 × 2048 pixels, as `frx restore` does it, beside the network called once, in
channels_last. Each runs in fresh processes of its own; memory is how much these grew at their peak
after the model was there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measuring import Measured, Row, alone, peak_bytes
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.recipe import Compute
from frx.restoring import tiles
from frx_models.unet import UNet

SIDE_PX, ROUNDS = 2048, 3

Way = Callable[[UNet, Tensor], Tensor]


def planned(module: UNet, picture: Tensor) -> Tensor:
    """As frx does it by default."""
    precision = Precision.choose(Compute(), torch.device("cpu"))
    restorer = Restorer(precision.place(module).eval(), precision, {})
    return tiles.through(restorer, {"degraded": picture})["image"]


def whole(module: UNet, picture: Tensor) -> Tensor:
    """In float32, all at once."""
    module.to(memory_format=torch.channels_last).eval()
    with torch.no_grad():
        restored: Tensor = module(picture.contiguous(memory_format=torch.channels_last))
    return restored


WAYS: dict[str, Way] = {"frx": planned, "whole in fp32": whole}


def cost(way: Way) -> tuple[float, float]:
    """Seconds, and bytes that this process's peak memory grew by."""
    torch.manual_seed(0)
    module, picture = UNet(), torch.rand(1, 3, SIDE_PX, SIDE_PX)
    way(module, picture[..., :64, :64])  # what torch loads at its first use is not counted
    before, started = peak_bytes(), time.perf_counter()
    way(module, picture)
    return time.perf_counter() - started, float(peak_bytes() - before)


def rows() -> Iterator[Row]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            found[name].append(alone(cost, way))
    seconds, grown = (
        Measured({name: [costs[kind] for costs in found[name]] for name in WAYS})
        for kind in range(2)
    )
    peer = "whole in fp32"
    yield seconds.times_better("restoring 4 megapixels: time", peer, "≥ 2.4")
    yield grown.share("restoring 4 megapixels: memory", peer, "≤ 0.333")
