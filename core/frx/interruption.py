"""SIGINT and SIGTERM stop a run between two steps, with a checkpoint; a second SIGINT at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Note signals instead of dying of them."""

    def note(number: int, frame: FrameType | None) -> None:
        if noted.number is not None and number == signal.SIGINT:
            os._exit(130)
        noted.number = number

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
