"""A folder for one process at a time."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from frx import files
from frx.errors import BusyError, ResourceError


@contextmanager
def locked(folder: Path, name: str = "run.lock") -> Iterator[None]:
    """Keep a folder for this process; the lock goes with the process, however it dies.

    `name` is the lock's file; `name`.json says who has it.

    Raises:
        BusyError: another process has it; names that one.
    """
    with files.failing_clearly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"{name}.json"
    lock = FileLock(folder / name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = json.loads(holder.read_bytes()) if holder.exists() else {}
        raise BusyError(
            f"{folder}: in use by process {who.get('pid', '?')} on {who.get('host', '?')} "
            f"since {who.get('since', '?')}; wait for it or choose another --out"
        ) from None
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be locked: {error.strerror}") from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"pid": os.getpid(), "host": platform.node(), "since": since}
        files.write(holder, json.dumps(who))
        yield
    finally:
        holder.unlink(missing_ok=True)  # a data set that is handed on need not name this computer
        lock.release()
