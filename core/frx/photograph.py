"""What a picture file holds: pixels, alpha and the metadata that has to be written back.

Here an open Pillow image is taken apart; `images` is what opens it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

Picture = NDArray[np.uint8]
DeepPicture = NDArray[np.uint16]
Samples = TypeVar("Samples", Picture, DeepPicture, NDArray[np.float32])

_ORIENTATION = 0x0112
_BITS = 258
_PHOTOMETRIC = 262
# What a TIFF's own directory says about the picture, as against about where its strips lie.
_DESCRIPTIVE_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 0x8769, 0x8825)
_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005

# Annex K of the JPEG standard, for brightness; libjpeg scales it to a quality of 1 to 100.
_ANNEX_K = """
    16 11 10 16 24 40 51 61   12 12 14 19 26 58 60 55   14 13 16 24 40 57 69 56
    14 17 22 29 51 87 80 62   18 22 37 56 68 109 103 77   24 35 55 64 81 104 113 92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103 99
"""
_PERCENT = np.array([5000 // q if q < 50 else 200 - 2 * q for q in range(1, 101)])
_TABLES = (np.array(_ANNEX_K.split(), dtype=int) * _PERCENT[:, None] + 50) // 100
_TABLE_SUMS = _TABLES.clip(1, 255).sum(axis=1)


@attrs.frozen(eq=False)
class Photograph:
    """A picture with what its file had beside the pixels.

    `pixels` is not multiplied by `alpha`. `gray` says that the file stored grey values. `exif` has
    its orientation set to upright. `notes` are what reading changed or left out.

    Of a file with more than 8 bits a channel, `deep` [H, W, 3] and `deep_alpha` [H, W] have the
    values in 0..65535, and `pixels` and `alpha` their high bytes.

    Of a JPEG, `quality` is estimated from its tables, 1 to 100, and `subsampling` says how its
    colour is reduced: 0 not at all (4:4:4), 1 in width (4:2:2), 2 in both (4:2:0). `lossless` is a
    WebP that was stored without loss.
    """

    pixels: Picture
    alpha: Picture | None
    gray: bool
    format: str
    exif: bytes | None
    icc_profile: bytes | None
    path: Path
    notes: tuple[str, ...] = ()
    quality: int | None = None
    subsampling: int | None = None
    lossless: bool = False
    deep: DeepPicture | None = None
    deep_alpha: DeepPicture | None = None


def reduce_for(image: ImageFile.ImageFile, size: int) -> None:
    """Have libjpeg leave out the frequencies that `size` pixels cannot show; others do nothing.

    Less than twice the size, unless it is the very size, would be averaged unevenly.
    """
    width, height = image.size
    for factor in (8, 4, 2):
        if min(width, height) >= 2 * factor * size or width == height == factor * size:
            image.draft(None, (width // factor, height // factor))
            return


def colors_of(image: Image.Image) -> Picture:
    """Return the pixels of a loaded image of mode RGB or L; np.array takes much longer."""
    if image.mode == "L":
        return cv2.cvtColor(np.asarray(image), cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
    padded = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
    rows = padded.reshape(image.height, image.width, 4)
    return cv2.cvtColor(rows, cv2.COLOR_RGBA2RGB)  # type: ignore[return-value]


def photograph_of(image: ImageFile.ImageFile, raw_mode: str, path: Path) -> Photograph:
    """Take a loaded image apart, 8 bits a channel; `raw_mode` is that from before it was loaded."""
    notes = []
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    if image.mode == "CMYK":
        notes.append("CMYK converted to RGB")
    orientation, exif_is_whole = orientation_of(image)
    if not exif_is_whole:
        notes.append("damaged EXIF left out")
    pixels, alpha, gray = _planes(image, raw_mode)
    icc_profile = image.info.get("icc_profile")
    # A profile for other channels than are written makes viewers refuse the file or show it wrong.
    if icc_profile and icc_profile[16:20] != (b"GRAY" if gray else b"RGB "):
        notes.append("colour profile of another kind left out")
        icc_profile = None
    exif = _exif(image, orientation) if exif_is_whole else None
    frames = _frames(image)
    if frames > 1:
        notes.append(f"first of {frames} frames")
    return Photograph(
        pixels=turned(pixels, orientation),
        alpha=None if alpha is None else turned(alpha, orientation),
        gray=gray,
        format=kind,
        exif=exif,
        icc_profile=icc_profile or None,
        path=path,
        notes=tuple(notes),
        quality=_jpeg_quality(image) if kind == "JPEG" else None,
        subsampling=_jpeg_subsampling(image) if kind == "JPEG" else None,
        lossless=raw_mode == "VP8L",
    )


def stored_as(image: ImageFile.ImageFile) -> str:
    """Return how the file stores its pixels, in Pillow's words; loading it makes it forget them."""
    if image.format == "WEBP" and image.fp is not None:
        return _webp_codec(image.fp)
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        # The planes of a TIFF may lie apart, and then have raw modes of their own.
        return {12: "I;12", 16: "TIFF;16"}.get(max(tags.get(_BITS, (1,))), "")
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _webp_codec(file: Any) -> str:
    """Return the name of the chunk that has the first frame: "VP8 ", or "VP8L" without loss."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name in (b"VP8 ", b"VP8L"):
            return str(name, "ascii")
        # An animation's frame has chunks of its own, after 16 bytes on where it goes.
        file.seek(16 if name == b"ANMF" else size + size % 2, os.SEEK_CUR)
    return ""


def _planes(image: Image.Image, raw_mode: str) -> tuple[Picture, Picture | None, bool]:
    """Return colours, alpha and whether the file is grey."""
    transparency = image.info.get("transparency")
    if image.mode.startswith(("I", "F")):
        return _deep_gray(image, raw_mode)
    if image.mode in ("1", "L", "LA", "La"):
        if image.mode in ("1", "L") and transparency is None:
            return np.array(image.convert("RGB")), None, True
        both = np.array(image.convert("LA"))
        return np.repeat(both[..., :1], 3, axis=2), both[..., 1].copy(), True
    if image.mode == "RGB" and ";16" in raw_mode:
        # The transparent colour is given in 16 bits; compared with 8 it would hit other pixels.
        transparency = None
    if image.mode not in ("PA", "RGBA", "RGBa") and transparency is None:
        pixels = np.array(image.convert("RGB"))
        return pixels, None, image.mode == "P" and _is_gray(pixels)
    both = np.array(image.convert("RGBA"))
    pixels = np.ascontiguousarray(both[..., :3])
    gray = raw_mode.startswith("LA") or (image.mode in ("P", "PA") and _is_gray(pixels))
    return pixels, both[..., 3].copy(), gray


def _deep_gray(image: Image.Image, raw_mode: str) -> tuple[Picture, Picture | None, bool]:
    """Bring grey of more than 8 bits to 8; Pillow's own conversion clips it."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    alpha = None
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            alpha = np.where(values == transparent, np.uint8(0), np.uint8(255))
        gray = (values >> (4 if raw_mode == "I;12" else 8)).astype(np.uint8)
    elif image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError("floating-point values outside 0..1; save it with 8 or 16 bits")
        gray = np.rint(values * 255).astype(np.uint8)
    else:
        raise ValueError("signed or 32-bit whole numbers; save it with 8 or 16 bits")
    if tags.get(_PHOTOMETRIC) == 0:
        gray = 255 - gray
    return np.repeat(gray[..., None], 3, axis=2), alpha, True


def _is_gray(pixels: Picture) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def laid_on(photograph: Photograph, background: int) -> Picture:
    """Return the colours with what is transparent laid on an even grey."""
    if photograph.alpha is None:
        return photograph.pixels
    weight = photograph.alpha[..., None].astype(np.uint16)
    mixed = photograph.pixels * weight + background * (255 - weight)
    return ((mixed + 127) // 255).astype(np.uint8)


def orientation_of(image: Image.Image) -> tuple[int, bool]:
    """Return the EXIF orientation, 1 to 8, and whether the EXIF could be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1, False
    return (value if value in range(1, 9) else 1), True


def turned(pixels: Samples, orientation: int) -> Samples:
    """Turn and mirror a stored picture as its orientation, 1 to 8, says."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After the exchange of the axes of 5 to 8, these are the mirrorings that are left.
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _exif(image: Image.Image, orientation: int) -> bytes | None:
    raw: bytes | None = image.info.get("exif")
    if raw is None:
        kept = Image.Exif()
        for tag, value in described(image.getexif()):
            kept[tag] = value
        return kept.tobytes() if kept else None
    if not raw.startswith(b"Exif\0\0"):
        raw = b"Exif\0\0" + raw
    return raw if orientation == 1 else _with_upright_tag(raw)


def described(exif: Image.Exif) -> Iterator[tuple[int, Any]]:
    """Yield the tags, with their values, that a TIFF's directory can take over from another's."""
    for tag in _DESCRIPTIVE_TAGS:
        if tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY) and tag in exif:
            # Where the directory of interoperability lies is no use in another file.
            inner = exif.get_ifd(tag).items()
            yield tag, {key: value for key, value in inner if key != _INTEROPERABILITY}
        elif tag in exif:
            yield tag, exif[tag]


def _with_upright_tag(exif: bytes) -> bytes:
    """Set the orientation to 1 in place: writing EXIF anew would break makers' own notes."""
    patched = bytearray(exif)
    order = "<" if exif[6:8] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", exif, 10)
    (count,) = struct.unpack_from(order + "H", exif, 6 + directory)
    for entry in range(6 + directory + 2, 6 + directory + 2 + 12 * count, 12):
        tag, field = struct.unpack_from(order + "HH", exif, entry)
        if tag == _ORIENTATION:
            value = (order + "I", 1) if field == 4 else (order + "HH", 1, 0)
            struct.pack_into(value[0], patched, entry + 8, *value[1:])
    return bytes(patched)


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:
        # Later frames are cut off; the first one, which is used, was read whole.
        return 1


def _jpeg_quality(image: Image.Image) -> int | None:
    """Return the quality at which libjpeg's table for brightness is as coarse as this one."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if 0 not in tables:
        return None
    return int(np.abs(_TABLE_SUMS - sum(tables[0])).argmin()) + 1


def _jpeg_subsampling(image: Image.Image) -> int | None:
    sampling = JpegImagePlugin.get_sampling(image)
    return sampling if sampling in (0, 1, 2) else None
