"""Work on many pictures side by side."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from frx.cores import cores
from frx.errors import ResourceError
from frx.interruption import leave_signals_to_parent

T = TypeVar("T")
R = TypeVar("R")

_work: Callable[[Any], Any]


def on_all_cores(work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Give what `work` makes of each item, in their order; few results wait at a time.

    In threads: for work that is nearly all Pillow's and OpenCV's, which let the others run.
    """
    return _in_order(ThreadPoolExecutor(cores()), work, items)


def in_processes(work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """As `on_all_cores`, in processes: for work of which much is Python.

    `work`, items and results are picklable. Signals are for this process; the others end with it.

    Raises:
        ResourceError: a process died.
    """
    # Forked, a process is there at once; macOS' own libraries do not stand it.
    forks = sys.platform == "linux"
    context = multiprocessing.get_context("fork" if forks else "spawn")
    pool = ProcessPoolExecutor(cores(), context, initializer=_begin, initargs=(work,))
    opencv_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # before the fork, which its threads would not survive
    try:
        with warnings.catch_warnings():
            # Fork beside a progress bar's thread: what that locks is not used over there.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield from _in_order(pool, _worked, items)
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process that worked beside this one died; perhaps there was not enough memory"
        ) from error
    finally:
        cv2.setNumThreads(opencv_threads)


def _in_order(pool: Executor, work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    waiting: deque[Future[R]] = deque()
    most = 4 * cores()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) == most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[Any], Any]) -> None:
    """Make a process one that works for another."""
    global _work
    _work = work
    leave_signals_to_parent()
    cv2.setNumThreads(1)  # the cores are taken
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _worked(item: Any) -> Any:
    return _work(item)
