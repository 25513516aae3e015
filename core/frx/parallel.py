"""Work on many pictures side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Give what `work` makes of each item, in their order; few results wait at a time.

    In threads: nearly all the time goes into reading, resizing and writing pictures, for which
    Pillow and OpenCV let the others run.
    """
    cores = os.cpu_count() or 1
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(cores)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) == 4 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
