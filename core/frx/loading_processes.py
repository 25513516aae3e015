"""Processes that load data beside the one that trains."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from frx.cores import cores
from frx.errors import ResourceError
from frx.images import shown
from frx.interruption import leave_signals_to_parent
from frx.whereabouts import Whereabouts

if TYPE_CHECKING:
    from torch import device

    from frx.specs import Dataset

T = TypeVar("T")

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
        yield from deaths.noticed_in(fetching)
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


class Deaths:
    """When to notice that a process that loads data is gone: while waiting for what it makes.

    torch notices by a signal's handler that raises wherever the program happens to be, which may
    be in the middle of a step, of a save, or of what forgives errors.
    """

    def __init__(self) -> None:
        self.handler: Callable[[int, FrameType | None], Any] | None = None
        self.waiting = False

    def noticed_in(self, fetching: Iterator[T]) -> Iterator[T]:
        """Go on as `fetching` does, which has begun its processes."""
        self._take_over()
        while True:
            self.waiting = True
            try:
                if self.handler:  # for those who died before
                    self.handler(signal.SIGCHLD, None)
                item = next(fetching)
            except StopIteration:
                return
            finally:
                self.waiting = False
            yield item

    def _take_over(self) -> None:
        if not hasattr(signal, "SIGCHLD") or current_thread() is not main_thread():
            return  # there torch has no such handler either
        current = signal.getsignal(signal.SIGCHLD)
        if callable(current) and current != self._heard:
            self.handler = current
            signal.signal(signal.SIGCHLD, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.waiting and self.handler:
            self.handler(number, frame)


deaths = Deaths()
