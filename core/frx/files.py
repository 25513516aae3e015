"""Where frx keeps files of its own, and how it writes a file: whole or not at all."""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from frx.errors import DataError, ResourceError

PARTIAL = ".frx-partial-"
WRITTEN_AT_ONCE = 2**25  # bytes; a process that is killed ends no sooner than its write


def cache_folder() -> Path:
    """`$FRX_CACHE`, or the user's cache folder of the platform."""
    if chosen := os.environ.get("FRX_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "frx" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "frx"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "frx"


def real(path: Path) -> Path:
    """Where a path leads to, through all links; one that leads in circles, to where it began."""
    return Path(os.path.realpath(path))


def below(folder: Path, name: str) -> Path:
    """The place of a file called `name`, a path with slashes, in a folder.

    Raises:
        DataError: it would be outside of the folder.
    """
    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or ".." in path.parts:
        raise DataError(f"a file called {name!r} would lie outside of {folder}")
    return folder / path


def write(path: Path, data: bytes | memoryview | str, *, durable: bool = True) -> None:
    """Replace a file; whoever is killed or out of space meanwhile leaves the old one.

    `durable` waits until the disk has it: a power cut takes nothing back. In a text, foreign bytes
    of files' names become the bytes that they are.

    Raises:
        ResourceError: the disk is full or not writable; says which file and what is free.
    """
    raw = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    write_with(path, lambda partial: partial.write_bytes(raw), durable=durable, size=len(raw))


def write_with(
    path: Path, fill: Callable[[Path], object], *, durable: bool = True, size: int | None = None
) -> None:
    """As `write`, for a library that writes files itself: `fill` gets the path to fill.

    `size` in bytes is for the message where the disk is full.
    """
    # Free of the file's own name, which may already be as long as names may be.
    partial = path.with_name(f"{PARTIAL}{secrets.token_hex(6)}{path.suffix}")
    with failing_clearly(path, size):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fill(partial)
            if durable:
                with partial.open("rb+") as file:
                    os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)


def fill_past_cache(path: Path, pages: memoryview, size: int) -> None:
    """Write the first `size` bytes of whole pages of memory, around the system's page cache.

    That is faster for hundreds of megabytes, and leaves the cache to the pictures of data sets.
    Where the file system has no such way, they go through the cache.
    """
    past_cache = getattr(os, "O_DIRECT", 0)
    try:
        _fill(path, pages, size, past_cache)
    except OSError as error:
        if error.errno != errno.EINVAL or not past_cache:
            raise
        _fill(path, pages, size, 0)


def _fill(path: Path, pages: memoryview, size: int, more_flags: int) -> None:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | more_flags, 0o666)

    with open(path, "wb", buffering=0, opener=opener) as file:
        done = 0
        while done < len(pages):
            done += file.write(pages[done : done + WRITTEN_AT_ONCE])
        file.truncate(size)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(PARTIAL):
                Path(place, name).unlink(missing_ok=True)


@contextmanager
def failing_clearly(path: Path, size: int | None = None) -> Iterator[None]:
    """Turn what the operating system says into one sentence about `path`, of `size` bytes."""
    try:
        yield
    except OSError as error:
        text = f"{path}: cannot be written: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed = f"{mib(size)} needed, " if size is not None else ""
            left = mib(free_bytes(path))
            text += f" ({needed}{left} left; free some space, the same command goes on)"
        raise ResourceError(text) from error


def free_bytes(path: Path) -> int:
    """What is free on the disk that a file, there already or not, belongs to."""
    existing = next(folder for folder in path.absolute().parents if folder.exists())
    return shutil.disk_usage(existing).free


def mib(size: int) -> str:
    """Bytes as people say them; never less than there are."""
    return f"{math.ceil(size / 2**20 * 10) / 10:.1f} MiB"


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
