"""The page beside restored photographs: `report.html`, with a slider between before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
from attrs import frozen

from frx import files, images
from frx.errors import FrxError
from frx.images import Picture
from frx.pages import embedded, template
from frx.restoring.record import FaceRecord, FileRecord

MAX_PICTURED = 60
# Before and after together. As text they take a third more: 24 MB for the whole page at most.
MAX_PAIR_BYTES = 300_000
# Longest side in pixels and JPEG quality, from what one would like to see to what always fits.
ATTEMPTS = ((1000, 85), (1000, 75), (800, 75), (640, 75), (480, 75), (320, 75))


@frozen
class Pair:
    """The previews of a photograph before and after, as data URIs, and its height and width."""

    before: str
    after: str
    height: int
    width: int


@frozen
class Shown:
    """A photograph as the page shows it: its record, and its previews or why there are none."""

    record: FileRecord
    pair: Pair | None
    unreadable: str | None = None

    @property
    def warnings(self) -> list[tuple[int, FaceRecord]]:
        """Faces that may be somebody else's now, each with its number, from 1."""
        return [(number, face) for number, face in enumerate(self.record.faces, 1) if face.changed]

    @property
    def boxes(self) -> list[tuple[int, FaceRecord, tuple[float, float, float, float]]]:
        """Number, from 1, and face with left, top, width, height of its box in percent.

        None where the size of the photograph is not known.
        """
        record = self.record
        if not (record.width > 0 and record.height > 0):
            return []
        found = []
        for number, face in enumerate(record.faces, 1):
            left, right = (_percent(x, record.width) for x in face.box[::2])
            top, bottom = (_percent(y, record.height) for y in face.box[1::2])
            found.append((number, face, (left, top, right - left, bottom - top)))
        return found


def write(
    path: Path,
    records: Sequence[FileRecord],
    *,
    model: str,
    options: Mapping[str, str],
    missing: str | None,
    threshold: float | None,
) -> None:
    """Write the page: one file that needs no network, every text escaped.

    Of the restored photographs `MAX_PICTURED` at most are pictured, those with a warning first,
    from their files as they are now. `missing` says why likeness was not measured, where it was
    not; below `threshold` is what a warning means.

    Raises:
        ResourceError: the disk is full or not writable.
    """
    restored = in_order_of_concern(records)
    text = template("frx.restoring", "page.html").render(
        model=model,
        options=options,
        missing=missing,
        threshold=threshold,
        counts=counts(records),
        measured=any(face.likeness is not None for record in records for face in record.faces),
        photographs=_photographs(restored[:MAX_PICTURED]),
        left_out=counts(restored[MAX_PICTURED:]),
        failed=[record for record in records if record.status == "failed"],
        unchanged=_grouped(
            (record.reason or "no reason given", record.name)
            for record in records
            if record.status == "unchanged"
        ),
        notes=_grouped((note, record.name) for record in records for note in record.notes),
    )
    # A text may hold foreign bytes of a file's name, which UTF-8 cannot.
    files.write(path, text.encode("utf-8", "backslashreplace"))


def counts(records: Iterable[FileRecord]) -> dict[str, int]:
    """How many were restored, left unchanged and failed; and faces, and warnings among them."""
    records = list(records)
    status = Counter(record.status for record in records)
    faces = [face for record in records for face in record.faces]
    return {
        "restored": status["restored"],
        "unchanged": status["unchanged"],
        "failed": status["failed"],
        "faces": len(faces),
        "warnings": sum(face.changed for face in faces),
    }


def in_order_of_concern(records: Iterable[FileRecord]) -> list[FileRecord]:
    """Those restored: first those with a warning, the least alike first, then the others."""

    def concern(record: FileRecord) -> tuple[bool, float]:
        changed = [face.likeness or 0.0 for face in record.faces if face.changed]
        return not changed, min(changed, default=0.0)

    return sorted((record for record in records if record.status == "restored"), key=concern)


def _percent(position: float, length: int) -> float:
    return min(max(100 * position / length, 0.0), 100.0)


def _photographs(records: Iterable[FileRecord]) -> Iterator[Shown]:
    for record in records:
        try:
            yield Shown(record, _pair(record))
        except FrxError as error:
            yield Shown(record, None, str(error))


def _pair(record: FileRecord) -> Pair | None:
    if record.output is None:
        return None
    before, after = images.read_rgb(record.source), images.read_rgb(record.output)
    height, width = before.shape[:2]
    for side_px, quality in ATTEMPTS:
        # Of one quality always: else the page would compare JPEG with JPEG.
        encoded = [_jpeg(images.within(picture, side_px), quality) for picture in (before, after)]
        if sum(map(len, encoded)) <= MAX_PAIR_BYTES:
            break
    first, second = (embedded(jpeg, "jpeg") for jpeg in encoded)
    return Pair(first, second, height, width)


def _jpeg(picture: Picture, quality: int) -> bytes:
    blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def _grouped(texts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The names that each text was said of."""
    found: dict[str, list[str]] = {}
    for text, name in texts:
        found.setdefault(text, []).append(name)
    return found
