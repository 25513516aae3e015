"""Decoded samples kept, so that only the first epoch decodes them."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frx.cores import processes_here
from frx.errors import DataError, ResourceError
from frx.files import failing_clearly
from frx.memory import free_on_machine
from frx.specs import Dataset

Picture = NDArray[np.uint8]
_Kept = tuple[NDArray[np.uint64], Picture]  # checksums [slots], records [slots, bytes]

_VERSION = 2
_TRIES = 16
_WORD = 8


class Cached:
    """A data set of pictures of one size whose samples are decoded once.

    They are kept in memory that forked workers share, as many as fit into a third of what is free,
    or, where `folder` is given, all of them in a file there that outlives the run. A sample of
    another shape than the first one's passes through. What comes out is byte for byte what
    `dataset` gives, as each sample carries a checksum: what was written by half or damaged is
    decoded again.

    Pickled without a file, as for spawned workers, it passes everything through.

    Raises:
        DataError: no sample can be read.
        ResourceError: there is not enough disk space for all samples, or no memory at all.
    """

    def __init__(self, dataset: Dataset, folder: Path | None = None) -> None:
        self.dataset = dataset
        self.shapes = _shapes(_first_readable(dataset))
        # A whole number of words, which the checksum is made of.
        size = sum(math.prod(shape) for shape in self.shapes.values())
        self._record = -(-size // _WORD) * _WORD
        self._weights = _odd_numbers(self._record // _WORD)
        self.file: Path | None = None
        self._kept: _Kept | None = None
        self.slots = len(dataset)
        if folder is None:
            # A third: there may be other sets, and training needs the rest.
            most = free_on_machine() // 3 // processes_here()
            self.slots = min(self.slots, most // (_WORD + self._record))
            if self.slots:
                self._kept = self._arrays(_shared_memory(self.size_bytes))
        else:
            self.file = folder / f"{self._key()}.pictures"
            self._kept = self._arrays(_shared_file(self.file, self.size_bytes))

    @property
    def size_bytes(self) -> int:
        """What the kept samples and their checksums take."""
        return self.slots * (_WORD + self._record)

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        """Return the sample's own id."""
        return self.dataset.name(index)

    def splits(self) -> dict[str, NDArray[np.int64]]:
        """Return the splits of the data set."""
        return self.dataset.splits()

    def groups(self) -> NDArray[np.int64] | None:
        """Return the groups of the data set."""
        return self.dataset.groups()

    def fingerprint(self) -> str:
        """Return the fingerprint of the data set: a cache changes nothing."""
        return self.dataset.fingerprint()

    def __getitem__(self, index: int) -> dict[str, Picture]:
        index = range(len(self))[index]
        if self._kept is None or index >= self.slots:
            return self.dataset[index]
        checksums, records = self._kept
        # A copy first: another process may be writing, and the caller may change what it gets.
        record = records[index].copy()
        if self._checksum(record) == checksums[index]:
            return self._taken_apart(record)
        pictures = self.dataset[index]
        if _shapes(pictures) == self.shapes:
            record[:] = 0
            for name, picture in self._taken_apart(record).items():
                picture[:] = pictures[name]
            records[index] = record
            checksums[index] = self._checksum(record)
        return pictures

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file is not None:
            self._kept = self._arrays(_shared_file(self.file, self.size_bytes))

    def _checksum(self, record: Picture) -> np.uint64:
        """A weighted sum of the words: one other word always changes it, and it is fast.

        That of zeros is 1, so nothing marks a sample as kept but its checksum.
        """
        total: np.uint64 = np.dot(record.view(np.uint64), self._weights) ^ np.uint64(1)
        return total

    def _taken_apart(self, record: Picture) -> dict[str, Picture]:
        """The pictures of a record, as views of it."""
        pictures, at = {}, 0
        for name, shape in self.shapes.items():
            end = at + math.prod(shape)
            pictures[name] = record[at:end].reshape(shape)
            at = end
        return pictures

    def _arrays(self, memory: mmap.mmap) -> _Kept:
        checksums = np.frombuffer(memory, np.uint64, self.slots)
        records = np.frombuffer(memory, np.uint8, self.slots * self._record, _WORD * self.slots)
        return checksums, records.reshape(self.slots, self._record)

    def _key(self) -> str:
        kind = type(self.dataset)
        parts = [_VERSION, kind.__module__, kind.__qualname__, self.dataset.fingerprint()]
        key = repr([*parts, len(self.dataset), self.shapes])
        return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def _shapes(pictures: dict[str, Picture]) -> dict[str, tuple[int, ...]]:
    return {name: pictures[name].shape for name in sorted(pictures)}


def _odd_numbers(count: int) -> NDArray[np.uint64]:
    return np.random.Philox(key=0).random_raw(count) | np.uint64(1)


def _first_readable(dataset: Dataset) -> dict[str, Picture]:
    for index in range(min(len(dataset), _TRIES)):
        try:
            return dataset[index]
        except DataError as error:
            last = error
    raise last if len(dataset) else DataError("a data set without samples cannot be cached")


def _shared_memory(size: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size)
    except (OSError, OverflowError, MemoryError) as error:
        raise ResourceError(
            f"{size / 2**30:.1f} GiB of memory for decoded pictures cannot be had; "
            'keep them on disk (cache = "disk") or not at all (cache = "none")'
        ) from error


def _shared_file(path: Path, size: int) -> mmap.mmap:
    with failing_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            # All of it now: writing to a mapped file when the disk is full kills the process.
            if os.fstat(handle).st_size < size:
                _reserve(handle, path, size)
            return mmap.mmap(handle, size)
        finally:
            os.close(handle)


def _reserve(handle: int, path: Path, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise ResourceError(
            f"{path}: the decoded pictures take {size / 2**30:.1f} GiB, "
            f"and {free / 2**30:.1f} GiB are free"
        )
    os.ftruncate(handle, size)
