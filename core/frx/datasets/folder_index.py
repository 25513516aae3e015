"""The names of all pictures below a folder, kept in the cache and read where they lie.

Walking 200,000 files takes long and their names take room. So a folder is walked once; its index
is a file of int64 offsets, int64 sizes and all names end to end, mapped into memory and shared by
all processes. It holds as long as no folder in it was changed.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import time
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frx import files
from frx.errors import DataError, ResourceError
from frx.images import shown

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")

# Within this time a folder can change without its modification time moving on (FAT counts in 2 s).
_CLOCK_GRAIN_NS = 2_000_000_000
_VERSION = 1


class FolderIndex:
    """The sorted relative POSIX paths of the pictures below `folder`; a sequence of names.

    Hidden files and folders are left out; links to folders are followed, each folder once. Pickles
    as the path of its file, unless the cache could not be written to.
    """

    def __init__(
        self,
        folder: Path,
        extensions: tuple[str, ...],
        data: bytes | mmap.mmap,
        file: Path | None,
    ) -> None:
        self.folder = folder
        self.extensions = extensions
        self.fingerprint = hashlib.blake2b(data, digest_size=16).hexdigest()
        self._file = file
        self._data = data if file is None or isinstance(data, mmap.mmap) else None
        self._count = int.from_bytes(data[:8], "little")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> str:
        return os.fsdecode(self._raw(range(self._count)[index]))

    def __iter__(self) -> Iterator[str]:
        return (os.fsdecode(self._raw(index)) for index in range(self._count))

    def with_prefix(self, prefix: str) -> range:
        """Return the numbers of the names that begin with `prefix`: they lie side by side."""
        raw = os.fsencode(prefix)
        numbers = range(self._count)
        first = bisect_left(numbers, raw, key=self._raw)
        end = bisect_left(numbers, raw[:-1] + bytes([raw[-1] + 1]), key=self._raw)
        return range(first, end)

    def subfolders(self, prefix: str) -> list[str]:
        """Return the folders directly below `folder` whose names begin with `prefix`."""
        found = []
        numbers = self.with_prefix(prefix)
        at = numbers.start
        while at < numbers.stop:
            folder, slash, _ = self[at].partition("/")
            if slash:
                found.append(folder)
            at = self.with_prefix(folder + "/").stop if slash else at + 1
        return found

    def __getstate__(self) -> dict[str, Any]:
        kept = None if self._file else self._data
        return {**self.__dict__, "_data": kept}

    def _raw(self, index: int) -> bytes:
        data = self._mapped()
        start, end = struct.unpack_from("<qq", data, 8 * (1 + index))
        return bytes(data[start:end])

    def _mapped(self) -> bytes | mmap.mmap:
        if self._data is None:
            assert self._file is not None
            try:
                self._data = _map(self._file)
            except OSError:
                self._data = self._walked_again()
        return self._data

    def _walked_again(self) -> bytes:
        """Replace an index that another process removed, as it does where the folder changed."""
        data, _ = _packed(self.folder, self.extensions, {})
        if hashlib.blake2b(data, digest_size=16).hexdigest() != self.fingerprint:
            raise DataError(f"{shown(self.folder)} changed while it was in use; start again")
        return data


def index_folder(folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> FolderIndex:
    """Read the index of a folder from the cache, or walk the folder and store one.

    Raises:
        DataError: the folder is missing, cannot be read or has no picture.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder {shown(folder)} {what}")
    extensions = tuple(sorted({extension.lower() for extension in extensions}))
    place = files.cache_folder() / "index"
    key = f"{_VERSION}\0{os.path.realpath(folder)}\0{extensions}"
    stem = hashlib.blake2b(os.fsencode(key), digest_size=12).hexdigest()
    meta_path = place / f"{stem}.json"
    meta = _valid_meta(meta_path, folder)
    if meta is not None:
        stored = place / f"{stem}-{meta['fingerprint']}.names"
        index = _stored(folder, extensions, stored)
        if index is not None and index.fingerprint == meta["fingerprint"]:
            return index

    started_ns = time.time_ns()
    changed_ns: dict[str, int] = {}
    data, others = _packed(folder, extensions, changed_ns)
    count = int.from_bytes(data[:8], "little")
    if not count:
        raise DataError(
            f"no picture in {shown(folder)}: none of its {others:,} files ends in "
            f"{' '.join(extensions)}"
        )
    index = FolderIndex(folder, extensions, data, None)
    stored = place / f"{stem}-{index.fingerprint}.names"
    description = {
        "folder": ascii(str(folder)),
        "extensions": extensions,
        "count": count,
        "fingerprint": index.fingerprint,
        "walked_ns": started_ns,
        "changed_ns": changed_ns,
    }
    try:
        place.mkdir(parents=True, exist_ok=True)
        files.write(stored, data)
        files.write(meta_path, json.dumps(description))
    except (OSError, ResourceError) as error:
        warnings.warn(
            f"the index of {shown(folder)} cannot be kept, so it is made anew each time ({error})",
            stacklevel=2,
        )
        return index
    for older in place.glob(f"{stem}-*.names"):
        if older != stored:
            _remove(older)
    return FolderIndex(folder, extensions, data, stored)


def _stored(folder: Path, extensions: tuple[str, ...], file: Path) -> FolderIndex | None:
    try:
        return FolderIndex(folder, extensions, _map(file), file)
    except (OSError, ValueError):
        return None


def _map(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _valid_meta(path: Path, folder: Path) -> dict[str, Any] | None:
    """Read what was noted of the folder, if it still holds."""
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for relative, changed_ns in meta["changed_ns"].items():
            if os.stat(os.path.join(folder, relative)).st_mtime_ns != changed_ns:
                return None
            if changed_ns > meta["walked_ns"] - _CLOCK_GRAIN_NS:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return meta


def _packed(
    folder: Path, extensions: tuple[str, ...], changed_ns: dict[str, int]
) -> tuple[bytes, int]:
    """Return the content of the index file, and how many files are no pictures."""
    from frx.progress import track

    found: list[tuple[bytes, int]] = []
    others = 0
    walk = track(
        _walk(folder, changed_ns), total=None, label=f"indexing {shown(folder)}", unit="files"
    )
    for relative, size in walk:
        if relative.lower().endswith(extensions):
            found.append((os.fsencode(relative), size))
        else:
            others += 1
    found.sort()
    head = np.zeros(1 + len(found) + 1 + len(found), "<i8")
    lengths: NDArray[np.int64] = np.array([len(name) for name, _ in found], np.int64)
    head[0] = len(found)
    head[1 : len(found) + 2] = head.nbytes + np.concatenate([[0], np.cumsum(lengths)])
    head[len(found) + 2 :] = [size for _, size in found]
    return head.tobytes() + b"".join(name for name, _ in found), others


def _walk(folder: Path, changed_ns: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Give relative path and size of each file; note the folders' modification times."""
    # Links wait until all real folders are done: of two ways to one folder the real one counts.
    waiting, links = [""], list[str]()
    seen = set[tuple[int, int]]()
    while waiting or links:
        relative = waiting.pop() if waiting else links.pop(0)
        place = os.path.join(folder, relative)
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            # Before the entries are read: a later change must not look like a part of the index.
            changed_ns[relative] = status.st_mtime_ns
            with os.scandir(place) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name.startswith("."):
                        continue
                    inner = f"{relative}/{entry.name}" if relative else entry.name
                    if _is_folder(entry):
                        (links if entry.is_symlink() else waiting).append(inner)
                    else:
                        yield inner, _size(entry)
        except OSError as error:
            raise DataError(f"{shown(place)} cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        # A link to nowhere: it stays in the index, so that reading it is refused by name.
        return -1


def _remove(file: Path) -> None:
    try:
        file.unlink()
    except OSError:
        # Another process removed it, or has it open on a system that then forbids removal.
        return
