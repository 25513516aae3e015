"""The processes that make batches, from one epoch to the next."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from frx.data import Samples, Subset
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import ResourceError
from frx.loader import Loader

CPU = torch.device("cpu")
EVERY = np.arange(8, dtype=np.int64)


def noisy(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return image ^ rng.integers(0, 256, image.shape, np.uint8)


def loader(workers: int) -> Loader:
    faces = SyntheticFaces(count=8, size=32)
    return Loader(Samples(Subset(faces, EVERY, workers=workers), 7, [noisy]), CPU)


def damaged(made: Loader, epoch: int | None, most: int = 99) -> torch.Tensor:
    found = [
        batch["degraded"]
        for _, batch in zip(range(most), made.batches(EVERY, 2, epoch=epoch), strict=False)
    ]
    return torch.cat(found)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if child.is_running()}


@pytest.fixture
def new_children() -> Iterator[Callable[[], set[int]]]:
    before = children()
    yield lambda: children() - before
    gc.collect()  # a caught error keeps what it went through
    _, left = psutil.wait_procs(map(psutil.Process, children() - before), timeout=20)
    assert not left


def test_epochs_share_processes_which_end_with_the_loader(
    new_children: Callable[[], set[int]],
) -> None:
    alone, helped = loader(0), loader(2)
    seen = []
    for epoch in (0, 1, None, 0):
        torch.testing.assert_close(damaged(helped, epoch), damaged(alone, epoch), rtol=0, atol=0)
        seen.append(new_children())
    assert len(seen[0]) == 2
    assert all(processes == seen[0] for processes in seen)
    assert not torch.equal(damaged(alone, 0), damaged(alone, 1))
    del helped
    assert not new_children()


def test_what_is_left_before_its_end_disturbs_nothing(
    new_children: Callable[[], set[int]],
) -> None:
    alone, helped = loader(0), loader(2)
    assert len(damaged(helped, 0, most=1)) == 2
    assert not new_children()
    torch.testing.assert_close(damaged(helped, 1), damaged(alone, 1), rtol=0, atol=0)


def test_an_epoch_within_another_one_disturbs_nothing(
    new_children: Callable[[], set[int]],
) -> None:
    alone, helped = loader(0), loader(2)
    outer = []
    for batch in helped.batches(EVERY, 2, epoch=0):
        outer.append(batch["degraded"])
        torch.testing.assert_close(damaged(helped, 1), damaged(alone, 1), rtol=0, atol=0)
    torch.testing.assert_close(torch.cat(outer), damaged(alone, 0), rtol=0, atol=0)


def test_more_batches_get_more_processes(new_children: Callable[[], set[int]]) -> None:
    helped = loader(3)
    for _ in helped.batches(EVERY[:2], 1):
        assert len(new_children()) == 2
    damaged(helped, None)
    assert len(new_children()) == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_is_killed_while_it_has_nothing_to_do_is_noticed(
    new_children: Callable[[], set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long it waits for processes that are no longer wanted.
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.3)
    training, validating = loader(1), loader(1)
    damaged(training, 0)
    (process,) = new_children()
    os.kill(process, signal.SIGKILL)
    with pytest.raises(ResourceError) as caught:
        damaged(validating, None)
    # No sample is to blame: it had none.
    assert str(caught.value).startswith("a process that loads data died or hangs (DataLoader")


LEFT_OPEN = """
import torch
from test_loader import EVERY, loader
helped = loader(1)
for batch in helped.batches(EVERY, 2, epoch=0):
    pass
"""


def test_python_ends_while_a_loader_is_open() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", LEFT_OPEN], env=environment, timeout=120, check=True)
