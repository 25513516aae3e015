"""Checkpoints of 50 million parameters with Adam (600 MB) beside torch.save and fsync.

The peer is what a careful user writes: torch.save to a new file, fsync, and the new file takes the
place of the old one; the training loop stands still for all of it. frx keeps two generations, with
their SHA-256. Whole: until the new one is on disk and the oldest is gone. Stall: how long the loop
stands still, which is until the state has been copied. Lost: that, and by how much the steps that
are taken while the copy is written are slower than others. Before each save the network trains for
two seconds. The first save, for which frx takes memory, is not counted, nor is the peer's.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.measuring import Measured, Row
from frx.checkpoint import Checkpoints

CHANNELS, LAYERS, SIZE_PX = 512, 21, 8
ROUNDS = 7
TRAINED_S = 2.0
PEER = "torch.save + fsync"


class Training:
    """A network of convolutions, and what its steps take."""

    def __init__(self) -> None:
        self.network = nn.Sequential(
            *(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(LAYERS))
        ).to(memory_format=torch.channels_last)
        # So slow that it never diverges, whose state would be refused.
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-6, fused=True)
        features_BCHW = torch.rand(1, CHANNELS, SIZE_PX, SIZE_PX)
        self.features_BCHW = features_BCHW.to(memory_format=torch.channels_last)
        self.seconds: list[float] = []

    def step(self) -> float:
        """Learn; the seconds that it took."""
        started = time.perf_counter()
        self.network(self.features_BCHW).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.perf_counter() - started

    def go_on(self) -> None:
        """Learn for a while, undisturbed."""
        started = time.perf_counter()
        while time.perf_counter() - started < TRAINED_S:
            self.seconds.append(self.step())

    def state(self) -> dict[str, Any]:
        """All that has to be saved."""
        return {"weights": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}


def saved_by_torch(state: dict[str, Any], path: Path) -> None:
    """Replace a file, whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def measured(training: Training, folder: Path) -> Measured:
    """Seconds by what is measured."""
    checkpoints = Checkpoints(folder)
    found: dict[str, list[float]] = {"frx": [], "stall": [], "lost": [], PEER: []}
    for number in range(1 + ROUNDS):
        training.go_on()
        started = time.perf_counter()
        checkpoints.save(number, {"state": training.state()})
        stalled = time.perf_counter()
        checkpoints.wait()
        written = time.perf_counter()
        training.go_on()
        began = time.perf_counter()
        checkpoints.save(number, {"state": training.state()})
        lost = time.perf_counter() - began
        while checkpoints.is_writing:
            lost += training.step() - statistics.median(training.seconds)
        training.go_on()
        replaced = time.perf_counter()
        saved_by_torch(training.state(), folder / "state.pt")
        done = time.perf_counter()
        if number:
            found["frx"].append(written - started)
            found["stall"].append(stalled - started)
            found["lost"].append(lost)
            found[PEER].append(done - replaced)
    checkpoints.wait()
    return Measured(found)


def rows() -> Iterator[Row]:
    # Where one works: /tmp may be memory.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        found = measured(Training(), Path(folder))
    name = "checkpoint, 50 M parameters"
    yield found.times_better(f"{name}: whole save", PEER, "≥ 2")
    yield found.share(f"{name}: stall", PEER, "≤ 0.25", ours="stall")
    yield found.share(f"{name}: lost", PEER, "≤ 0.25", ours="lost")
