"""Pictures of what a network's gates pass and suppress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from annotated_types import Ge
from attrs import define
from torch import Tensor, nn

from frx import images
from frx.grids import comparison
from frx.run import Run
from frx.specs import hookimpl
from frx_models.suppression import Gate


@define(eq=False, kw_only=True)
class SuppressionMaps:
    """What HiFaceGAN's gates pass of faces, clean and damaged.

    `suppression_maps/` gets pictures with two rows a validation image, clean and damaged, the same
    ones every time. Beside each are the gates, one column a size: how much every place hears of its
    eight neighbours, the mean of the gate over these taps, black where they are suppressed most,
    white where they pass best. Captions say what black and white stand for. A network without
    gates is left alone.
    """

    count: Annotated[int, Ge(1)] = 3
    every_epochs: Annotated[int, Ge(1)] = 1

    @hookimpl
    @torch.no_grad()
    def frx_epoch_end(self, run: Run) -> None:
        """Write `suppression_maps/STAGE-EPOCH.png`."""
        module = run.networks["model"].module
        if not run.is_due(self.every_epochs) or not gates(module):
            return
        module.eval()
        seen, heard = [], []
        first = run.sets["val"].indices[: self.count]
        for batch in run.loader("val").batches(first, 1):
            for picture in (batch["clean"], batch["degraded"]) if batch.size else ():
                with neighbours_heard(module) as maps:
                    run.forward("model", {**batch, "degraded": picture})
                seen.append(picture)
                heard.append(maps)
        module.train()
        images.write(run.picture("suppression_maps"), comparison(rows(seen, heard)))


def gates(module: nn.Module) -> list[Gate]:
    """All gates of a network, in its own order."""
    return [inner for inner in module.modules() if isinstance(inner, Gate)]


@contextmanager
def neighbours_heard(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that gets, from each gate that is used, its mean over all taps but the middle one.

    Each is [B, 1, h, w], in 0..1.
    """
    heard: list[Tensor] = []

    def note(_gate: nn.Module, _given: Any, gate_BThw: Tensor) -> None:
        middle = gate_BThw.shape[1] // 2
        around = torch.cat([gate_BThw[:, :middle], gate_BThw[:, middle + 1 :]], dim=1)
        heard.append(around.float().mean(dim=1, keepdim=True))

    handles = [gate.register_forward_hook(note) for gate in gates(module)]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def rows(seen: Sequence[Tensor], heard: Sequence[Sequence[Tensor]]) -> list[dict[str, Tensor]]:
    """Each picture beside its maps, one gate's from black to white over all pictures.

    Every gate halves the size.
    """
    made = [{"seen": picture} for picture in seen]
    for number, maps in enumerate(zip(*heard, strict=True), start=1):
        low = min(float(map_.min()) for map_ in maps)
        high = max(float(map_.max()) for map_ in maps)
        for row, map_ in zip(made, maps, strict=True):
            row[f"1/{2**number}: {low:.2f}-{high:.2f}"] = (map_ - low) / max(high - low, 1e-6)
    return made
