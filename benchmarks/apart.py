"""Something to measure in a process of its own, beside others that take turns with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Make = Callable[..., Callable[[], object]]


@contextmanager
def apart(make: Make, *given: Any) -> Iterator[Callable[[], object]]:
    """A call that lets a fresh process make one call of what `make(*given)` gives there."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make, given), daemon=True)
    process.start()
    theirs.close()

    def call() -> None:
        ours.send(True)
        ours.recv()  # EOFError: it raised, and has said so

    try:
        yield call
    finally:
        ours.close()
        process.join()


def _serve(asked: Connection, make: Make, given: tuple[Any, ...]) -> None:
    call = make(*given)
    while True:
        try:
            asked.recv()
        except EOFError:
            return
        call()
        asked.send(True)
