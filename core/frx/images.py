"""Reading and writing picture files: the only place in frx that opens one.

In memory a picture is uint8 [H, W, 3], RGB, upright; a mask is uint8 [H, W], 0 or 255. What a file
has beyond that (16 bits a channel, alpha, grey, EXIF, colour profile) travels beside the pixels in
a `Photograph`.
"""

from __future__ import annotations

import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features

from frx import encoding, files
from frx.deep_colour import (
    ask_for_low_bytes,
    has_16_bits,
    is_deep,
    to_8_bits,
    to_gray,
    with_all_bits,
)
from frx.errors import DataError, FrxError, ResourceError
from frx.photograph import (
    Photograph,
    Samples,
    colors_of,
    laid_on,
    orientation_of,
    photograph_of,
    reduce_for,
    stored_as,
    turned,
)
from frx.png_checksums import require_sound_pixels

Picture = NDArray[np.uint8]
DeepPicture = NDArray[np.uint16]
AnyPath = str | os.PathLike[str]

# Named one by one: Pillow would otherwise try every parser it has, among them EPS, which starts
# Ghostscript.
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]
if features.check("avif"):
    FORMATS.append("AVIF")

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
}
MAX_PIXELS = 64_000_000

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Pillow's size limit and Python's warning filters belong to the whole process.
_SETTINGS_LOCK = threading.Lock()


class MaskError(DataError):
    """A mask has values other than 0 and 255."""


def read(path: AnyPath, *, max_pixels: int = MAX_PIXELS) -> Photograph:
    """Read a picture and all that has to be written back with it.

    Raises:
        DataError: the file is missing, damaged, too large or no picture.
    """
    path = Path(path)
    with _opened(path, max_pixels) as image:
        raw_mode = stored_as(image)
        photograph = _photograph(image, path, max_pixels)
    if not is_deep(raw_mode):
        return photograph
    with _opened(path, max_pixels) as image:
        if not ask_for_low_bytes(image):
            notes = ("16 bits a channel reduced to 8", *photograph.notes)
            return attrs.evolve(photograph, notes=notes)
        _load(image, max_pixels)
        return with_all_bits(photograph, image, raw_mode, _orientation(image))


def read_rgb(
    path: AnyPath, *, max_pixels: int = MAX_PIXELS, reduced_for: int | None = None
) -> Picture:
    """Read only the colours; what is transparent is laid on white, as a viewer would show it.

    With `reduced_for`, a size in pixels, a JPEG comes at a half, quarter or eighth of its own size,
    in a fraction of the time, where both sides stay at least twice that size, or a square becomes
    that size exactly. Resized to it, a pixel then differs by some levels from the whole picture's.
    """
    with _opened(Path(path), max_pixels) as image:
        if reduced_for is not None:
            reduce_for(image, reduced_for)
        if image.mode in ("RGB", "L") and "transparency" not in image.info:
            _load(image, max_pixels)
            return turned(colors_of(image), _orientation(image))
        photograph = _photograph(image, Path(path), max_pixels)
    return laid_on(photograph, 255)


def read_mask(path: AnyPath, *, strict: bool = False, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a mask [H, W] of 0 and 255; values from 128 on count as 255, transparent ones as 0.

    Raises:
        MaskError: with `strict`, where a value is neither 0 nor 255.
        DataError: as `read`.
    """
    with _opened(Path(path), max_pixels) as image:
        photograph = _photograph(image, Path(path), max_pixels)
    gray = np.asarray(Image.fromarray(laid_on(photograph, 0)).convert("L"))
    if strict and not np.isin(gray, (0, 255)).all():
        raise MaskError(f"{shown(path)} is no mask: it has values other than 0 and 255")
    return np.where(gray >= 128, np.uint8(255), np.uint8(0))


def read_size(path: AnyPath, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return height and width of the upright picture, from the header alone."""
    with _opened(Path(path), max_pixels) as image:
        # A TIFF's size is that of the upright picture already, and a square's that of any. Of a
        # PNG, Pillow decodes all to learn how it lies.
        upright = image.format == "TIFF" or image.width == image.height
        lies = not upright and _orientation(image) >= 5
        return (image.width, image.height) if lies else (image.height, image.width)


def write(
    path: AnyPath,
    pixels: Picture | DeepPicture,
    *,
    like: Photograph | None = None,
    quality: int = 95,
) -> None:
    """Write a picture [H, W, 3] or a grey one [H, W]; the suffix of `path` chooses the format.

    PNG and TIFF take uint16, 0..65535, as well; other formats get it reduced to 8 bits. A file of
    that name is replaced at once or, should anything fail, left as it was. Alpha, grey, EXIF and
    colour profile of `like` are kept, and so are a JPEG's subsampling and that a WebP is lossless;
    `quality` matters to JPEG, AVIF and other WebP.

    Raises:
        DataError: the format cannot take this picture, or no format has this suffix.
        ResourceError: the folder is missing or cannot be written to, or the disk is full.
    """
    path = Path(path)
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None or kind not in FORMATS:
        known = " ".join(suffix for suffix, name in SUFFIXES.items() if name in FORMATS)
        raise DataError(f"{shown(path)}: no picture format has this suffix (known: {known})")
    try:
        encoding.require_picture(pixels)
        encoded = _encoded(pixels, like, kind, quality, path)
    except (FrxError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{shown(path)}: cannot be written as {kind} ({_reason(error)})") from error
    files.write(path, encoded, durable=False)


def resize(pixels: Samples, height: int, width: int) -> Samples:
    """Resize a picture: area averaging where it shrinks, bicubic where it grows.

    Area averaging has no aliasing and no ringing; bicubic keeps the edges of an enlarged picture
    that bilinear would blur, at the price of a slight halo.
    """
    smaller = (min(height, pixels.shape[0]), min(width, pixels.shape[1]))
    return _resized(_resized(pixels, smaller, cv2.INTER_AREA), (height, width), cv2.INTER_CUBIC)


def within(pixels: Samples, side_px: int) -> Samples:
    """A picture shrunk, where it is larger, to a longest side of `side_px`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    return resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def resize_mask(mask: Picture, height: int, width: int) -> Picture:
    """Resize a mask to the nearest value, so that it stays 0 or 255."""
    # Plain INTER_NEAREST shifts the mask by up to half a source pixel.
    return _resized(mask, (height, width), cv2.INTER_NEAREST_EXACT)


def _resized(pixels: Samples, size: tuple[int, int], interpolation: int) -> Samples:
    if pixels.shape[:2] == size:
        return pixels
    resized: Samples = cv2.resize(pixels, size[::-1], interpolation=interpolation)  # type: ignore[assignment]
    return resized


def crop_to_square(pixels: Picture) -> Picture:
    """Return the largest square in the middle, as a view."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def shown(path: AnyPath) -> str:
    """Return a path as a message can show it: on one line, whatever bytes the name is made of."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open a file, and turn whatever goes wrong until it is closed into a sentence."""
    _require_file(path)
    try:
        with open(path, "rb") as file:
            yield _identified(file, path, max_pixels)
    except FrxError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{shown(path)}: not enough memory to read this picture") from error
    except PermissionError as error:
        raise DataError(f"{shown(path)}: permission denied") from error
    except Exception as error:
        # Any type at all: Pillow's parsers let through what a damaged file makes them run into.
        raise DataError(f"{shown(path)}: damaged picture ({_reason(error)})") from error


def _require_file(path: Path) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        missing = "is a link to a missing file" if path.is_symlink() else "does not exist"
        raise DataError(f"{shown(path)} {missing}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)}: {_reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{shown(path)} is a folder, not a picture")
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for its other end.
        raise DataError(f"{shown(path)} is not a regular file")
    if status.st_size == 0:
        raise DataError(f"{shown(path)} is empty (0 bytes)")


def _identified(file: BinaryIO, path: Path, max_pixels: int) -> ImageFile.ImageFile:
    limit = f"frx reads pictures of up to {max_pixels / 1e6:g} million pixels"
    try:
        with _own_limit(max_pixels):
            image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+(?= pixels)", str(error))
        million = f"{int(pixels[0]) / 1e6:,.0f} million" if pixels else "far too many"
        raise DataError(f"{shown(path)} has {million} pixels; {limit}") from None
    except UnidentifiedImageError:
        file.seek(4)
        head = file.read(8)
        if head[:4] == b"ftyp" and head[4:] in _HEIC_BRANDS:
            raise DataError(
                f"{shown(path)} is a HEIC picture, which frx does not read: "
                "install pillow-heif and convert it to JPEG or PNG"
            ) from None
        raise DataError(
            f"{shown(path)} is no picture that frx reads ({', '.join(FORMATS)}), "
            "or its header is damaged"
        ) from None
    if image.width * image.height > max_pixels:
        raise DataError(f"{shown(path)} has {image.width} × {image.height} pixels; {limit}")
    return image


@contextmanager
def _own_limit(max_pixels: int) -> Iterator[None]:
    """Have Pillow refuse twice `max_pixels`, and keep quiet about less and about odd metadata."""
    with _SETTINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pillows_own = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = pillows_own


def _photograph(image: ImageFile.ImageFile, path: Path, max_pixels: int) -> Photograph:
    raw_mode = stored_as(image)
    _load(image, max_pixels)
    with _own_limit(max_pixels):
        return photograph_of(image, raw_mode, path)


def _orientation(image: ImageFile.ImageFile) -> int:
    with _own_limit(MAX_PIXELS):
        return orientation_of(image)[0]


def _load(image: ImageFile.ImageFile, max_pixels: int) -> None:
    if image.format == "PNG" and image.fp is not None:
        require_sound_pixels(image.fp)
    # Elsewhere the lock would only keep threads from decoding side by side: once its header is
    # read, no other format warns, and a picture of the usual size is within Pillow's own limit.
    if image.format == "TIFF" or image.width * image.height > MAX_PIXELS:
        with _own_limit(max_pixels):
            image.load()
    else:
        image.load()


def _encoded(
    pixels: Picture | DeepPicture, like: Photograph | None, kind: str, quality: int, path: Path
) -> memoryview:
    metadata: dict[str, bytes] = {}
    if like is not None and like.exif:
        metadata["exif"] = like.exif
    if like is not None and like.icc_profile:
        metadata["icc_profile"] = like.icc_profile
    if has_16_bits(pixels) and kind == "PNG":
        return encoding.png(_deep_like(pixels, like), **metadata)
    if has_16_bits(pixels) and kind == "TIFF":
        return encoding.tiff(_deep_like(pixels, like), **metadata)
    shallow = to_8_bits(pixels)
    if kind == "PNG" and like is None:
        # Pillow encodes PNG in one thread at a time; only it can keep all that `like` has.
        return encoding.png(shallow)
    file = io.BytesIO()
    options = _options(like, kind, quality)
    _like(shallow, like, kind, path).save(file, kind, **metadata, **options)
    return file.getbuffer()


def _options(like: Photograph | None, kind: str, quality: int) -> dict[str, Any]:
    """Return what Pillow is told about compression."""
    if kind == "WEBP" and like is not None and like.lossless:
        return {"lossless": True, "exact": True}
    if kind == "JPEG" and like is not None and like.subsampling is not None:
        return {"quality": quality, "subsampling": like.subsampling}
    if kind == "JPEG" and quality >= 90:
        # Halved colour resolution shows before this quality's other losses do.
        return {"quality": quality, "subsampling": 0}
    if kind in ("JPEG", "WEBP", "AVIF"):
        return {"quality": quality}
    return {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}


def _deep_like(pixels: DeepPicture, like: Photograph | None) -> DeepPicture:
    """Return 16 bits a channel with the channels the file is to have, [H, W] or [H, W, C]."""
    if like is None:
        return pixels
    if like.gray and pixels.ndim == 3:
        pixels = to_gray(pixels)
    if like.alpha is None:
        return pixels
    alpha = like.alpha * np.uint16(257) if like.deep_alpha is None else like.deep_alpha
    return np.dstack([pixels, resize(alpha, *pixels.shape[:2])])


def _like(pixels: Picture, like: Photograph | None, kind: str, path: Path) -> Image.Image:
    """Return the Pillow image with the channels the file is to have."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if like is None:
        return image
    if like.gray:
        image = image.convert("L")
    if like.alpha is None:
        return image
    if kind in ("JPEG", "BMP"):
        if (like.alpha == 255).all():
            return image
        raise DataError(
            f"{shown(path)}: {kind} cannot keep the transparency of {shown(like.path)}; "
            "write PNG, WebP or TIFF"
        )
    image.putalpha(Image.fromarray(resize(like.alpha, *pixels.shape[:2])))
    return image


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return (str(error).splitlines() or [""])[0] or type(error).__name__
