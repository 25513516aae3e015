"""Processes that load data beside the one that trains."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.sharedctypes import RawValue
from multiprocessing.util import Finalize
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from attrs import Factory, define

from frx.cores import cores
from frx.errors import ResourceError
from frx.images import shown
from frx.interruption import leave_signals_to_parent
from frx.whereabouts import Whereabouts

if TYPE_CHECKING:
    from torch import device
    from torch.utils.data import DataLoader

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


def give_way() -> None:
    """Work only when the processor has nothing better to do.

    With a worker on one of two cores, either of two training threads would wait for the other one
    most of the time. What a worker makes is not in a hurry before training waits for it, and then
    the processor is free. As a batch process on Linux it also interrupts no training thread.
    """
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if hasattr(os, "nice"):
        os.nice(19)


Wanted = tuple[int | None, list[int]]  # the epoch, and the numbers of a batch's samples


@define(eq=False)
class Processes:
    """Those that make batches of one data set, or with a count of 0 the one that trains."""

    count: int
    _loader: DataLoader[Any]
    _wanted: list[Wanted]  # what the loader asks for, in this order
    _dataset: Dataset
    _whereabouts: Whereabouts

    @classmethod
    def begin(cls, fetch: Any, count: int, device: device, whereabouts: Whereabouts) -> Self:
        """To call `fetch.__getitems__` for each batch that is wanted.

        Raises:
            ResourceError: a process cannot be had.
        """
        import torch
        from torch.utils.data import DataLoader

        wanted: list[Wanted] = []
        first = _First(gives_way=device.type == "cpu")  # where training needs the processor itself
        with _as_was_asked_for():
            loader: DataLoader[Any] = DataLoader(
                fetch,
                batch_sampler=wanted,  # type: ignore[arg-type]
                num_workers=count,
                persistent_workers=count > 0,
                collate_fn=_as_it_is,
                generator=torch.Generator(),  # else it would draw from the model's own
                timeout=WORKER_TIMEOUT_S if count else 0,
                worker_init_fn=first,
                pin_memory=device.type == "cuda",
            )
            try:
                iter(loader)  # of no batches: what begins the processes
            except OSError as error:  # no /dev/shm, too many files or processes
                raise ResourceError(
                    f"a process that loads data cannot be begun ({error.strerror or error}); "
                    "data.workers = 0 loads without"
                ) from error
        begun = cls(count, loader, wanted, fetch.samples.subset.dataset, whereabouts)
        Finalize(begun, first.end, exitpriority=0)
        return begun

    def fetched(self, wanted: list[Wanted]) -> Iterator[Any]:
        """What is made for each batch, in this order.

        Raises:
            ResourceError: a process died or hangs, and at which sample.
        """
        self._wanted[:] = wanted
        if not self.count:
            yield from self._loader
            return
        try:
            yield from deaths.noticed_in(self._loader)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error) and "timed out" not in str(error):
                raise
            reason = str(error).strip().partition("\n")[0]
            samples = self._whereabouts.at(reason)
            names = ", ".join(shown(self._dataset.name(index)) for index in samples)
            at = f" at {names}" if names else ""
            raise ResourceError(
                f"a process that loads data died or hangs{at} ({reason}); data.workers = 0 loads "
                "without"
            ) from error


@define(eq=False)
class _First:
    """What a process does first: leave signals to the one that trains, and the processor, if asked.

    Once they are to `end`, one word is enough: torch, and Python when it ends, say no second one.
    """

    gives_way: bool
    _is_ending: Any = Factory(partial(RawValue, "b"))

    def __call__(self, _worker: int) -> None:
        leave_signals_to_parent(lambda: bool(self._is_ending.value))
        if self.gives_way:
            give_way()

    def end(self) -> None:
        self._is_ending.value = 1


@contextmanager
def _as_was_asked_for() -> Iterator[None]:
    """Without torch's warnings of more processes than cores, and of forks beside idle threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", ".*worker processes", UserWarning)
        yield


def _as_it_is(fetched: Any) -> Any:
    return fetched


class Deaths:
    """When to notice that a process that loads data is gone: while waiting for what it makes.

    torch notices by a signal's handler that raises wherever the program happens to be, which may
    be in the middle of a step, of a save, or of what forgives errors.
    """

    def __init__(self) -> None:
        self.handler: Callable[[int, FrameType | None], Any] | None = None
        self.waits = False

    def noticed_in(self, loader: Iterable[T]) -> Iterator[T]:
        """Go on as a loader does that has begun its processes."""
        self._take_over()
        with self._waiting():
            fetching = iter(loader)
        while True:
            with self._waiting():
                try:
                    item = next(fetching)
                except StopIteration:
                    return
            yield item

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self.waits = True
        try:
            if self.handler:  # for those who died before
                self.handler(signal.SIGCHLD, None)
            yield
        finally:
            self.waits = False

    def _take_over(self) -> None:
        if not hasattr(signal, "SIGCHLD") or current_thread() is not main_thread():
            return  # there torch has no such handler either
        current = signal.getsignal(signal.SIGCHLD)
        if callable(current) and current != self._heard:
            self.handler = current
            signal.signal(signal.SIGCHLD, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.waits and self.handler:
            self.handler(number, frame)


deaths = Deaths()
