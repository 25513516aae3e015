"""The checksums of a PNG's pixels: Pillow passes them over, and damage would go unseen."""

from __future__ import annotations

import struct
import zlib
from typing import IO

_SIGNATURE_BYTES = 8
_PIECE_BYTES = 1 << 20


def require_sound_pixels(file: IO[bytes]) -> None:
    """Compare all that a PNG has of its pixels with its checksums; the file stays where it was.

    Raises:
        ValueError: one is wrong. A file that is cut off is the decoder's business.
    """
    before = file.tell()
    file.seek(_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            found = _checksum(file, name, size)
            stored = file.read(4)
            if len(stored) == 4 and stored != struct.pack(">I", found):
                raise ValueError("a checksum of its pixels is wrong")
        else:
            file.seek(size + 4, 1)
    file.seek(before)


def _checksum(file: IO[bytes], name: bytes, size: int) -> int:
    """That of a chunk of a size which may be a lie."""
    found = zlib.crc32(name)
    while size > 0 and (piece := file.read(min(size, _PIECE_BYTES))):
        found = zlib.crc32(piece, found)
        size -= len(piece)
    return found
