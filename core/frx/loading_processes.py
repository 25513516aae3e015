"""Processes that load data beside the one that trains."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from frx.cores import cores
from frx.errors import ResourceError
from frx.images import shown
from frx.interruption import leave_signals_to_parent
from frx.whereabouts import Whereabouts

if TYPE_CHECKING:
    from torch import device

    from frx.specs import Dataset

WORKER_TIMEOUT_S = 120
MOST_WORKERS = 8  # that "auto" takes


def worker_count(setting: int | Literal["auto"], device: device) -> int:
    """How many processes make batches for a device.

    A CPU that trains has no time left to make batches in. Beside a GPU it has.
    """
    if setting != "auto":
        return setting
    return min(MOST_WORKERS, cores() - 1) if device.type == "cuda" else 0


def begin(_worker: int) -> None:
    """Live no longer than the process that trains; leave signals to it."""
    leave_signals_to_parent()


def begin_beside_cpu(worker: int) -> None:
    """As `begin`, where training needs the processor itself."""
    begin(worker)
    give_way()


def give_way() -> None:
    """Work only when the processor has nothing better to do.

    With a worker on one of two cores, either of two training threads would wait for the other one
    most of the time. What a worker makes is not in a hurry before training waits for it, and then
    the processor is free.
    """
    if hasattr(os, "nice"):
        os.nice(19)


def surviving(
    loader: Iterable[dict[str, Any]], dataset: Dataset, whereabouts: Whereabouts
) -> Iterator[dict[str, Any]]:
    """Say in a sentence that a worker process cannot be had, died or hangs, and at which sample."""
    try:
        fetching = iter(loader)
    except OSError as error:  # no /dev/shm, too many files or processes
        raise ResourceError(
            f"a process that loads data cannot be begun ({error.strerror or error}); "
            "data.workers = 0 loads without"
        ) from error
    try:
        yield from fetching
    except RuntimeError as error:
        if "DataLoader worker" not in str(error) and "timed out" not in str(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        names = ", ".join(shown(dataset.name(index)) for index in whereabouts.at(reason))
        at = f" at {names}" if names else ""
        raise ResourceError(
            f"a process that loads data died or hangs{at} ({reason}); data.workers = 0 loads "
            "without"
        ) from error
