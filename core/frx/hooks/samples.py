"""Sample pictures while training."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from attrs import define

from frx import images
from frx.blind import composited
from frx.grids import columns, comparison
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False, kw_only=True)
class Samples:
    """A grid *damaged | restored | clean* of validation images, in `samples/`.

    For a network that fills holes it is *original | masked | generated | composite*; one that finds
    the damage itself has *predicted* and *found* between *damaged* and *restored*. The images and
    their damage are the same every time, so one sees the network learn.
    """

    count: Annotated[int, Ge(1)] = 6
    every_epochs: Annotated[int, Ge(1)] = 1

    @hookimpl
    @torch.no_grad()
    def frx_epoch_end(self, run: Run) -> None:
        """Write `samples/STAGE-EPOCH.png`."""
        if not run.is_due(self.every_epochs):
            return
        module = run.networks["model"].module.eval()
        first = run.sets["val"].indices[: self.count]
        rows = []
        for batch in run.loader("val").batches(first, 1):
            if batch.size:
                outputs = composited(run.forward("model", batch), batch["degraded"])
                rows.append(columns(batch, outputs))
        module.train()
        images.write(run.picture("samples"), comparison(rows))
