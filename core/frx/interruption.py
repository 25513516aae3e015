"""Signals stop a run between two steps, with a checkpoint; a second SIGINT stops it at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType

from attrs import define

from frx.errors import FrxError


class Interrupted(FrxError):
    """A signal asked the run to stop, and it did, in good order."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.exit_code = 128 + number


@define
class Interruption:
    """The signal that came, if one did."""

    number: int | None = None


@contextmanager
def listening(noted: Interruption) -> Iterator[None]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying of them; `nohup` keeps the last away."""

    def note(number: int, frame: FrameType | None) -> None:
        if noted.number is not None and number == signal.SIGINT:
            os._exit(130)
        noted.number = number

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_parent(ending: Callable[[], bool] = lambda: False) -> None:
    """In a process that works for another: outlive what that one is told, and end when it does.

    Ctrl-C, a closed terminal and many a service manager signal them all, and the other one still
    wants its batch. A second SIGTERM is from it, and means this process alone; so is the first, if
    the other one is `ending` itself.
    """

    def heard(number: int, frame: FrameType | None) -> None:
        if ending():
            os._exit(1)
        signal.signal(number, signal.SIG_DFL)

    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, heard)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
