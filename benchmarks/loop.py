"""The training loop's own cost a step, beside a bare Python loop, Accelerate, Fabric and Lightning.

The network is one 1 × 1 convolution of pictures of 8 px, so that little but the loop takes time.
All loops are given the same ready batches by a DataLoader, compute alike (autocast where frx does)
and step the same optimiser. A step lasts from one time that a batch is asked for to the next. frx
trains as in a real run: log, bar, watch and the look at the clock for checkpoints included,
its check that loss and gradients are finite, too. Lightning logs the loss and has no bar;
Accelerate and Fabric log nothing.

The loops take turns of some hundred steps in one process. A turn's figure is the median of its
steps, but for the first ones.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import frx.run
from benchmarks.measuring import Measured, Row, spread
from frx.build import Use
from frx.experiment import open_run
from frx.loader import Batch, Loader
from frx.recipe import Data, LossTerm, Recipe, Stage
from frx.registry import Component, find

TURNS, STEPS, SETTLING = 24, 200, 20
SIZE_PX, BATCH = 8, 4
AIM_US = 100

Loop = Callable[[], None]


class OneConvolution(nn.Module):
    """The least that can learn."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, degraded: Tensor) -> Tensor:
        """Return [B, 3, H, W]."""
        corrected: Tensor = self.layer(degraded)
        return corrected


class Ready(Dataset[Any]):
    """One batch as often as a turn has steps; notes when it is asked for."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.asked: list[float] = []

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, number: int) -> Any:
        if number == 0:
            self.asked = []
        self.asked.append(time.perf_counter())
        return self.batch

    @property
    def step_s(self) -> float:
        """The median step of the last turn."""
        return statistics.median(later - one for one, later in pairwise(self.asked[SETTLING:]))


def loader(ready: Ready) -> DataLoader[Any]:
    return DataLoader(ready, batch_size=None, collate_fn=as_it_is)


def as_it_is(batch: Any) -> Any:
    return batch


def network() -> tuple[nn.Module, torch.optim.Optimizer]:
    """The network, and the optimiser that frx would take for it."""
    model = OneConvolution().to(memory_format=torch.channels_last)
    return model, torch.optim.Adam(model.parameters(), fused=True)


def bare(bf16: bool, batches: DataLoader[Any]) -> Loop:
    """A loop without anything around it."""
    model, optimizer = network()

    def loop() -> None:
        for batch in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                restored = model(batch["degraded"])
            loss = F.l1_loss(restored.float(), batch["clean"])
            loss.backward()
            optimizer.step()

    return loop


def accelerate(bf16: bool, batches: DataLoader[Any]) -> Loop:
    """As in the quick tour of its documentation."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, mixed_precision="bf16" if bf16 else "no")
    model, optimizer, batches = accelerator.prepare(*network(), batches)

    def loop() -> None:
        for batch in batches:
            optimizer.zero_grad()
            loss = F.l1_loss(model(batch["degraded"]), batch["clean"])
            accelerator.backward(loss)
            optimizer.step()

    return loop


def fabric(bf16: bool, batches: DataLoader[Any]) -> Loop:
    """As in "Convert PyTorch code to Fabric" of its documentation."""
    from lightning_fabric import Fabric

    made = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed" if bf16 else "32-true")
    made.launch()
    model, optimizer = made.setup(*network())
    batches = made.setup_dataloaders(batches)

    def loop() -> None:
        for batch in batches:
            optimizer.zero_grad()
            loss = F.l1_loss(model(batch["degraded"]), batch["clean"])
            made.backward(loss)
            optimizer.step()

    return loop


def lightning(bf16: bool, batches: DataLoader[Any]) -> Loop:
    """A LightningModule and a Trainer."""
    import pytorch_lightning

    class Restoration(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.optimizer = network()

        def training_step(self, batch: Mapping[str, Tensor]) -> Tensor:
            loss = F.l1_loss(self.model(batch["degraded"]).float(), batch["clean"])
            self.log("l1", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.optimizer

    module = Restoration()
    trainer = pytorch_lightning.Trainer(
        accelerator="cpu",
        devices=1,
        precision="bf16-mixed" if bf16 else "32-true",
        max_epochs=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )

    def loop() -> None:
        assert trainer.fit_loop.max_epochs is not None
        trainer.fit_loop.max_epochs += 1
        trainer.fit(module, batches)

    return loop


def recipe() -> Recipe:
    """The network, trained for so many epochs as there are turns."""
    here = Component("model", "one_convolution", f"{__name__}:OneConvolution", "frx", "0")
    return Recipe(
        name="loop",
        data=Data(dataset=Use(find("dataset", "synthetic_faces"), {"count": 10, "size": SIZE_PX})),
        model=Use(here, {}),
        stages=[
            Stage(
                name="only",
                epochs=TURNS,
                batch_size=BATCH,
                validate_every_epochs=TURNS,
                trainer=Use(find("trainer", "supervised"), {}),
                losses=[LossTerm(loss=Use(find("loss", "l1"), {}))],
                optimizer=Use(find("optimizer", "adam"), {}),
                schedule=Use(find("schedule", "constant"), {}),
            )
        ],
    )


def measured() -> Measured:
    """The seconds of a step in each turn, of each loop."""
    for package in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(package).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=package)
    shape = (BATCH, 3, SIZE_PX, SIZE_PX)
    tensors = {
        key: torch.rand(shape).contiguous(memory_format=torch.channels_last)
        for key in ("clean", "degraded")
    }
    of_peers, of_frx = Ready(tensors), Ready(Batch(tensors, [str(i) for i in range(BATCH)], []))
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(recipe(), Path(folder), torch.device("cpu"))
        makers = {"bare": bare, "Accelerate": accelerate, "Fabric": fabric, "Lightning": lightning}
        loops = {name: make(run.precision.bf16, loader(of_peers)) for name, make in makers.items()}

        def batches(*_: object, epoch: int | None = None, **__: object) -> Iterator[Batch]:
            """A turn of frx's, after one of each of the others; to validate, a batch."""
            if epoch is None:
                yield of_frx.batch
                return
            for name, loop in loops.items():
                loop()
                values.setdefault(name, []).append(of_peers.step_s)
            yield from loader(of_frx)
            values.setdefault("frx", []).append(of_frx.step_s)

        with patch.object(Loader, "batches", batches):
            try:
                frx.run.train(run)
            finally:
                run.hooks["progress"].close()
    return Measured({name: turns[1:] for name, turns in values.items()})  # the first warms up


def rows() -> Iterator[Row]:
    times = measured()
    added = [
        (ours - bare) * 1e6 / AIM_US
        for ours, bare in zip(times.values["frx"], times.values["bare"], strict=True)
    ]
    yield spread("loop: added to a bare step", f"{AIM_US} µs", added, "≤ 1")
    for peer in ("Accelerate", "Fabric", "Lightning"):
        yield times.share("loop: step", peer, "≤ 1")
