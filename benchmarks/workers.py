"""Training beside a process that makes batches, and training without one.

A worker that never has to wait takes what the training leaves it. Where each picture is decoded and
damaged anew, it does so while the training goes on, or the training does it itself in between. In
a short epoch of a process that holds 800 MB it shows what a worker costs to have.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring import Measured, Row
from frx import images
from frx.cores import cores
from frx.data import Samples, Subset
from frx.datasets.folder import Folder
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.loader import Loader
from frx.loading_processes import give_way
from frx.precision import Precision
from frx.recipe import Compute
from frx_degradations.motion_blur import MotionBlur
from frx_models.unet import UNet

CPU = torch.device("cpu")
FILES, FILE_PX, SIZE_PX, BATCH, STEPS, ROUNDS = 64, 512, 128, 8, 6, 7


def rows() -> Iterator[Row]:
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as folder:
        drawn = SyntheticFaces(count=FILES, size=FILE_PX)
        for number in range(FILES):
            images.write(Path(folder, f"{number:03}.jpg"), drawn[number]["clean"])
        faces = Folder(path=folder, size=SIZE_PX)
        training = Training()
        seconds: dict[str, list[float]] = {"no worker": [], "frx": []}
        for _ in range(ROUNDS):
            seconds["no worker"].append(training.of_a_ready_batch())
            with_worker = beside_a_busy_worker(faces, training)
            seconds["frx"].append(with_worker)
        yield Measured(seconds).share("step beside one busy worker", "no worker", "≤ 1.1")
        fed: dict[str, list[float]] = {"no worker": [], "frx": []}
        alone, helped = (Loader(samples(faces, workers), CPU) for workers in (0, 1))
        training.fed_by(helped)  # the worker begins, and stays
        for _ in range(ROUNDS):
            fed["no worker"].append(training.fed_by(alone))
            fed["frx"].append(training.fed_by(helped))
        yield Measured(fed).share("epoch decoded by one worker", "no worker", "≤ 1.1")
    every = np.arange(len(Blank()))
    learner = Learner()
    alone, helped = (Loader(Samples(Subset(Blank(), every, workers=w), 7, []), CPU) for w in (0, 1))
    learner.fed_by(helped)
    short: dict[str, list[float]] = {"no worker": [], "frx": []}
    for _ in range(3 * ROUNDS):
        short["no worker"].append(learner.fed_by(alone))
        short["frx"].append(learner.fed_by(helped))
    yield Measured(short).share("epoch of 16 short steps, 800 MB held", "no worker", "≤ 1.1")


class Training:
    """A U-Net that learns, as frx computes it by default."""

    def __init__(self, batch: int = BATCH, size_px: int = SIZE_PX) -> None:
        self.precision = Precision.choose(Compute(), CPU)
        self.network = self.precision.place(UNet())
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True)
        self.ready = {
            name: torch.rand(batch, 3, size_px, size_px) for name in ("degraded", "clean")
        }

    def step(self, batch: dict[str, torch.Tensor]) -> None:
        outputs = self.precision.forward(self.network, batch)
        (outputs["image"] - batch["clean"]).abs().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def of_a_ready_batch(self) -> float:
        """Seconds of some steps that wait for no data."""
        started = time.perf_counter()
        for _ in range(STEPS):
            self.step(self.ready)
        return time.perf_counter() - started

    def fed_by(self, loader: Loader) -> float:
        """Seconds of an epoch whose pictures are decoded and damaged for it."""
        started = time.perf_counter()
        for batch in loader.batches(np.arange(FILES), BATCH, epoch=0):
            self.step(dict(batch))
        return time.perf_counter() - started


class Blank:
    """Pictures that take no time to make."""

    def __len__(self) -> int:
        return 16 * BATCH

    def name(self, index: int) -> str:
        return str(index)

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        return {"clean": np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)}

    def splits(self) -> dict[str, NDArray[np.int64]]:
        return {}

    def groups(self) -> None:
        return None

    def fingerprint(self) -> str:
        return "blank"


class Learner:
    """A hundred million numbers and as many changes to them, one after each batch."""

    def __init__(self) -> None:
        self.numbers = torch.zeros(100_000_000)
        self.changes = torch.ones(100_000_000)

    def fed_by(self, loader: Loader) -> float:
        started = time.perf_counter()
        for _ in loader.batches(np.arange(len(loader.samples.subset)), BATCH, epoch=0):
            self.numbers += self.changes
        return time.perf_counter() - started


def samples(faces: Folder, workers: int) -> Samples:
    every = np.arange(len(faces))
    return Samples(Subset(faces, every, workers=workers), 7, [MotionBlur()])


def beside_a_busy_worker(faces: Folder, training: Training) -> float:
    """Seconds of some steps while a process does what a worker does, and never has to wait."""
    worker = get_context("fork").Process(target=work, args=(faces,), daemon=True)
    worker.start()
    time.sleep(0.5)  # until it is at work
    seconds = training.of_a_ready_batch()
    worker.kill()
    worker.join()
    return seconds


def work(faces: Folder) -> None:
    torch.set_num_threads(1)  # as in any worker
    give_way()
    for epoch in count():
        for index in range(FILES):
            samples(faces, 0).make(index, epoch)
