"""What became of each photograph, a line a file in `results.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import attrs
from attrs import frozen

from frx import files
from frx.errors import DataError
from frx.images import shown
from frx.strict import strict_converter


@frozen
class FaceRecord:
    """One face of a photograph, before and after.

    `box` is left, top, right and bottom in pixels of the upright photograph, `confidence` the
    detector's, `side_px` the side of the aligned square in pixels of the photograph. `likeness` is
    the cosine of the face's embeddings before and after, -1..1, None where nothing measured it;
    `changed` says that it is below the threshold.
    """

    box: tuple[float, float, float, float]
    confidence: float
    side_px: float
    likeness: float | None
    changed: bool = False


@frozen
class FileRecord:
    """What became of one file.

    `source` and `output` are paths as they can be opened, `name` the one below the output folder.
    `key` (see `key_of`) is a digest of the files' state, the model and the options: where it is
    the same, the work need not be done again. `reason` is why it failed or why nothing was changed;
    `width` and `height` are those of the upright photograph.
    """

    source: str
    name: str
    status: Literal["restored", "unchanged", "failed"]
    key: str
    output: str | None = None
    reason: str | None = None
    width: int = 0
    height: int = 0
    faces: tuple[FaceRecord, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def key_of(sources: Iterable[Path], settings: str) -> str:
    """Digest of a photograph's file, its masks' files, and what it is restored by and how.

    A file's state is its path, size and time of change; one that is gone has none, and whoever
    reads it will say so.
    """
    text = json.dumps([settings, *map(_state, sources)])
    return blake2b(text.encode("ascii"), digest_size=16).hexdigest()


def _state(path: Path) -> list[str | int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return [str(path)]
    return [str(path), status.st_size, status.st_mtime_ns]


class Results:
    """The file `results.jsonl`: each record a line, there as soon as the photograph is done.

    Whoever is killed meanwhile keeps all lines written until then, and the next call goes on from
    them. On opening and on closing the file is brought to one line a source, the latest, in the
    order of the sources; lines that nobody understands are left out.
    """

    def __init__(self, path: Path, earlier: dict[str, FileRecord]) -> None:
        self.path = path
        self._latest = earlier
        # Also tells now, before the first photograph, that the folder cannot be written to.
        self._tidy()
        with files.failing_clearly(path):
            self._file = path.open("ab", buffering=0)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what an earlier call left, if there was one, and go on writing.

        Raises:
            DataError: the file cannot be read.
            ResourceError: the disk is full or not writable.
        """
        return cls(path, {record.source: record for record in read(path)})

    @property
    def records(self) -> list[FileRecord]:
        """The latest record of every source, earlier calls' too, in the order of the sources."""
        return sorted(self._latest.values(), key=lambda record: Path(record.source))

    def add(self, record: FileRecord) -> None:
        """Append a line.

        Raises:
            ResourceError: the disk is full or not writable; the file then ends as it did before.
        """
        line = memoryview(_line(record))
        with files.failing_clearly(self.path):
            end = self._file.seek(0, 2)
            try:
                while line:  # a disk that is nearly full takes a part
                    line = line[self._file.write(line) :]
            except BaseException:
                self._file.truncate(end)
                raise
        self._latest[record.source] = record

    def done(self, source: str, key: str) -> FileRecord | None:
        """The record of a file that need not be done again: same key, and its output exists."""
        record = self._latest.get(source)
        if record is None or record.status == "failed" or record.key != key:
            return None
        there = record.output is None or Path(record.output).is_file()
        return record if there else None

    def close(self) -> None:
        """Bring the file to one line a source.

        Raises:
            ResourceError: the disk is full or not writable; all lines written until then stay.
        """
        if not self._file.closed:
            self._file.close()
            self._tidy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tidy(self) -> None:
        files.write(self.path, b"".join(map(_line, self.records)))


def _line(record: FileRecord) -> bytes:
    # In ASCII, foreign bytes of a file's name travel as escaped surrogates.
    return json.dumps(attrs.asdict(record), allow_nan=False).encode("ascii") + b"\n"


def read(path: Path) -> list[FileRecord]:
    """What earlier calls wrote, line by line; nothing if there is no such file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(
            f"{shown(path)}: cannot be read ({(error.strerror or str(error)).lower()}); "
            "move it away, or choose another -o"
        ) from error
    converter = strict_converter()
    found = []
    for line in lines:
        try:
            found.append(converter.structure(json.loads(line), FileRecord))
        except Exception:
            # Half a line of a call that was killed, or somebody else's: that file is done anew.
            continue
    return found
