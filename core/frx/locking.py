"""A folder for one process at a time."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from frx import files
from frx.errors import BusyError, RecipeError, ResourceError

PATIENCE_S = 10.0  # processes that load data outlive one that was killed by less
GAVE_OUT = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@contextmanager
def locked(folder: Path, name: str = "run.lock") -> Iterator[None]:
    """Keep a folder for this process; the lock goes with the process, however it dies.

    `name` is the lock's file; `name`.json says who has it.

    Raises:
        BusyError: another process has it; names that one.
        RecipeError: it is no folder that can be written to.
        ResourceError: its disk gave out.
    """
    holder = folder / f"{name}.json"
    lock = FileLock(folder / name)
    with _usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, holder)
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"pid": os.getpid(), "host": platform.node(), "since": since}
        with _usable(folder):
            files.write(holder, json.dumps(who))
        yield
    finally:
        with suppress(OSError):  # a data set that is handed on need not name this computer
            holder.unlink()
        lock.release()


def _acquire(lock: FileLock, holder: Path) -> None:
    """Take the lock, or say who has it; one that was killed has it until its last process ends."""
    patience = time.monotonic() + PATIENCE_S
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except Timeout:
            who = _noted(holder)
            if _is_alive(who) or time.monotonic() > patience:
                raise BusyError(
                    f"{holder.parent}: in use by process {who.get('pid', '?')} on "
                    f"{who.get('host', '?')} since {who.get('since', '?')}; "
                    "wait for it or choose another folder"
                ) from None
        time.sleep(0.02)


def _noted(holder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(holder.read_bytes())
        return found
    return {}


def _is_alive(who: dict[str, Any]) -> bool:
    """Whether the process that is noted exists, as far as can be seen from this computer."""
    if "pid" not in who:
        return False  # it has the lock, and has not come to note so
    return who.get("host") != platform.node() or psutil.pid_exists(who["pid"])


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Tell a folder that is the wrong choice from a disk that gives out."""
    try:
        with files.failing_clearly(folder):
            yield
    except ResourceError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in GAVE_OUT:
            raise
        raise RecipeError(f"{error}; choose another folder") from error
