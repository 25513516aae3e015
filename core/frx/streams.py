"""Standard output and error that nobody reads any more: `frx run … | head`, a closed window."""

from __future__ import annotations

import os
from typing import IO


def say_no_more(stream: IO[str]) -> None:
    """Let all that is still in a stream's buffer, and what is written from now on, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
