"""A zoo of odd and broken pictures: what each is to be read as, or why it is to be refused.

The pixels are known from elsewhere: they are what was put into the file, or what OpenCV reads.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from attrs import frozen
from PIL import Image, ImageCms

ROWS, COLUMNS = np.mgrid[:12, :16]
COLORS = np.stack([COLUMNS * 17, ROWS * 23, (COLUMNS + ROWS) * 9], axis=-1).astype(np.uint8)
GRAY = (COLUMNS * 17).astype(np.uint8)
DEEP = (COLUMNS * 4369).astype(np.uint16)  # 0 … 65,535
ALPHA = (ROWS * 23).astype(np.uint8)


def encoded(picture: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(depth: int, color_type: int, rows: np.ndarray, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of bit depths that Pillow cannot write."""
    raw = b"".join(b"\0" + row.tobytes() for row in rows.astype(rows.dtype.newbyteorder(">")))
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, color_type, 0, 0, 0)
    return png_of((b"IHDR", header), *extra, (b"IDAT", zlib.compress(raw)), (b"IEND", b""))


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def png_header(width: int, height: int) -> bytes:
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png_of((b"IHDR", size), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))


def tiff(body: bytes, width: int, height: int, bits: int, photometric: int) -> bytes:
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric}
    tags |= {273: 8, 277: 1, 278: height, 279: len(body)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory


def exif(orientation: int, big: bool = False) -> bytes:
    order = ">" if big else "<"
    artist = b"Ada Lovelace\0"
    fields = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    fields += struct.pack(order + "HHII", 0x013B, 2, len(artist), 8 + 2 + 24 + 4)
    mark = b"MM\0*" if big else b"II*\0"
    return b"Exif\0\0" + mark + struct.pack(order + "IH", 8, 2) + fields + bytes(4) + artist


def gray_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)


def profile(called: bytes) -> bytes:
    """A colour profile for RGB of another name."""
    return SRGB.replace(b"sRGB", called.ljust(4)[:4])


RGBA = np.dstack([COLORS, ALPHA])
PALETTE = Image.fromarray(COLORS).quantize(8)
PALETTE_COLORS = np.array(PALETTE.convert("RGB"))
PALETTE_CLEAR = np.where(np.array(PALETTE) == 3, 0, 255)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CMYK = Image.fromarray(COLORS).convert("CMYK")
INKS = np.dstack([255 - COLORS, ALPHA // 3])
FRAMES = {
    "save_all": True,
    "append_images": [Image.fromarray(255 - COLORS), Image.fromarray(COLORS // 2)],
}

# name: (file, pixels, alpha, gray, notes)
EXACT: dict[str, tuple[bytes, np.ndarray, np.ndarray | None, bool, tuple[str, ...]]] = {
    "rgb.png": (encoded(COLORS, "PNG"), COLORS, None, False, ()),
    "rgb_bmp.bmp": (encoded(COLORS, "BMP"), COLORS, None, False, ()),
    "rgb_tif.tif": (encoded(COLORS, "TIFF"), COLORS, None, False, ()),
    "lzw.tif": (encoded(COLORS, "TIFF", compression="tiff_lzw"), COLORS, None, False, ()),
    "rgb_webp.webp": (encoded(COLORS, "WEBP", lossless=True), COLORS, None, False, ()),
    "misnamed.jpg": (encoded(COLORS, "PNG"), COLORS, None, False, ()),
    "gray.png": (encoded(GRAY, "PNG"), gray_rgb(GRAY), None, True, ()),
    "gray_gif.gif": (encoded(GRAY, "GIF"), gray_rgb(GRAY), None, True, ()),
    "one_bit.png": (
        encoded(Image.fromarray(GRAY > 99), "PNG"),
        gray_rgb(255 * (GRAY > 99)),
        None,
        True,
        (),
    ),
    "gray_alpha.png": (
        encoded(np.dstack([GRAY, ALPHA]), "PNG"),
        gray_rgb(GRAY),
        ALPHA,
        True,
        (),
    ),
    "gray_clear_value.png": (
        encoded(GRAY, "PNG", transparency=34),
        gray_rgb(GRAY),
        np.where(GRAY == 34, 0, 255),
        True,
        (),
    ),
    "rgba.png": (encoded(RGBA, "PNG"), COLORS, ALPHA, False, ()),
    "rgba_webp.webp": (encoded(RGBA, "WEBP", lossless=True, exact=True), COLORS, ALPHA, False, ()),
    "rgba_tif.tif": (encoded(RGBA, "TIFF"), COLORS, ALPHA, False, ()),
    "rgb_clear_color.png": (
        encoded(COLORS, "PNG", transparency=(17, 23, 18)),
        COLORS,
        np.where((COLORS == (17, 23, 18)).all(axis=2), 0, 255),
        False,
        (),
    ),
    "palette.png": (encoded(PALETTE, "PNG"), PALETTE_COLORS, None, False, ()),
    "palette_clear.png": (
        encoded(PALETTE, "PNG", transparency=3),
        PALETTE_COLORS,
        PALETTE_CLEAR,
        False,
        (),
    ),
    "palette_alphas.png": (
        encoded(PALETTE, "PNG", transparency=bytes(range(0, 240, 30))),
        PALETTE_COLORS,
        np.array(PALETTE) * 30,
        False,
        (),
    ),
    "palette_gif.gif": (encoded(PALETTE, "GIF"), PALETTE_COLORS, None, False, ()),
    "gray16.png": (encoded(DEEP, "PNG"), gray_rgb(DEEP >> 8), None, True, ()),
    "gray16_clear_value.png": (
        png(16, 0, DEEP, (b"tRNS", struct.pack(">H", 8738))),
        gray_rgb(DEEP >> 8),
        np.where(DEEP == 8738, 0, 255),
        True,
        (),
    ),
    "gray16_alpha.png": (
        png(16, 4, np.dstack([DEEP, DEEP[:, ::-1]])),
        gray_rgb(DEEP >> 8),
        DEEP[:, ::-1] >> 8,
        True,
        (),
    ),
    "rgb16.png": (
        png(16, 2, COLORS.astype(np.uint16) * 257 - (COLORS > 0)),
        ((COLORS.astype(np.uint16) * 257 - (COLORS > 0)) >> 8).astype(np.uint8),
        None,
        False,
        (),
    ),
    "rgba16.png": (png(16, 6, RGBA.astype(np.uint16) * 257), COLORS, ALPHA, False, ()),
    "rgb16_clear_color.png": (
        png(16, 2, COLORS.astype(np.uint16) * 257, (b"tRNS", struct.pack(">HHH", 17, 23, 18))),
        COLORS,
        None,
        False,
        (),
    ),
    "gray16_tif.tif": (encoded(DEEP, "TIFF"), gray_rgb(DEEP >> 8), None, True, ()),
    "gray16_white_is_zero.tif": (
        tiff(DEEP.tobytes(), 16, 12, 16, 0),
        gray_rgb(255 - (DEEP >> 8)),
        None,
        True,
        (),
    ),
    "gray_white_is_zero.tif": (
        tiff(GRAY.tobytes(), 16, 12, 8, 0),
        gray_rgb(255 - GRAY),
        None,
        True,
        (),
    ),
    "gray12.tif": (
        tiff(bytes([0xAB, 0xC1, 0x23] * 8 * 12), 16, 12, 12, 1),
        gray_rgb(np.tile(np.array([0xAB, 0x12]), (12, 8))),
        None,
        True,
        (),
    ),
    "float01.tif": (
        encoded(GRAY.astype(np.float32) / 255, "TIFF"),
        gray_rgb(GRAY),
        None,
        True,
        (),
    ),
    "pages.tif": (encoded(COLORS, "TIFF", **FRAMES), COLORS, None, False, ("first of 3 frames",)),
    "animated_png.png": (
        encoded(COLORS, "PNG", **FRAMES),
        COLORS,
        None,
        False,
        ("first of 3 frames",),
    ),
    "animated_webp.webp": (
        encoded(COLORS, "WEBP", lossless=True, **FRAMES),
        COLORS,
        None,
        False,
        ("first of 3 frames",),
    ),
    "animated.gif": (
        encoded(
            PALETTE,
            "GIF",
            save_all=True,
            append_images=[Image.fromarray(GRAY), Image.fromarray(255 - GRAY)],
        ),
        PALETTE_COLORS,
        None,
        False,
        ("first of 3 frames",),
    ),
    "without_its_end.png": (encoded(COLORS, "PNG")[:-12], COLORS, None, False, ()),
    "1x1.png": (encoded(COLORS[:1, :1], "PNG"), COLORS[:1, :1], None, False, ()),
    "1x4000.png": (
        encoded(np.resize(COLORS, (4000, 1, 3)), "PNG"),
        np.resize(COLORS, (4000, 1, 3)),
        None,
        False,
        (),
    ),
    "broken_profile.png": (
        encoded(COLORS, "PNG", icc_profile=b"nonsense" * 9),
        COLORS,
        None,
        False,
        ("colour profile of another kind left out",),
    ),
    "p3.png": (
        encoded(COLORS, "PNG", icc_profile=profile(b"P3")),
        COLORS,
        None,
        False,
        (),
    ),
    "adobe_rgb.png": (
        encoded(COLORS, "PNG", icc_profile=profile(b"Adob")),
        COLORS,
        None,
        False,
        (),
    ),
    "remark.png": (
        png_of(
            (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
            (b"tEXt", b"Comment\0" + b"<script>alert(1)</script>" * 9000),
            (b"IDAT", zlib.compress(bytes([0, 10, 200, 30]))),
            (b"IEND", b""),
        ),
        np.array([[[10, 200, 30]]], np.uint8),
        None,
        False,
        (),
    ),
    "-name with é 中 😀 and\nnewline.png": (encoded(COLORS, "PNG"), COLORS, None, False, ()),
    "n" * 246 + ".png": (encoded(COLORS, "PNG"), COLORS, None, False, ()),
}

JPEG = encoded(COLORS, "JPEG")
LARGE_JPEG = encoded(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8), "JPEG")
PNG = encoded(COLORS, "PNG")
UNKNOWN = "is no picture that frx reads .*or its header is damaged"

# name: (file, what the sentence says)
REFUSED: dict[str, tuple[bytes, str]] = {
    "zero.jpg": (b"", r"is empty \(0 bytes\)"),
    "text.jpg": (b"not a picture at all", UNKNOWN),
    "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNKNOWN),
    "page.jpg": (b"<!doctype html><title>404</title>", UNKNOWN),
    "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", UNKNOWN),
    "portable.png": (b"P6 1 1 255 abc", UNKNOWN),
    "cut_header.png": (PNG[:20], "damaged picture"),
    "cut.png": (PNG[: len(PNG) // 2], "damaged picture .*truncated"),
    **{
        f"cut_to_{percent}.jpg": (
            LARGE_JPEG[: len(LARGE_JPEG) * percent // 100],
            "damaged picture .*truncated",
        )
        for percent in (10, 25, 50, 75, 90, 99)
    },
    "cut_by_one_block.jpg": (LARGE_JPEG[:-300], "damaged picture .*truncated"),
    "cut_gif.gif": (encoded(PALETTE, "GIF")[:-40], "damaged picture"),
    "cut_bmp.bmp": (encoded(COLORS, "BMP")[:-40], "damaged picture"),
    "cut_webp.webp": (encoded(COLORS, "WEBP")[:-40], "damaged picture"),
    "cut_tif.tif": (encoded(COLORS, "TIFF")[:-400], "damaged picture|header"),
    "checksum_of_pixels.png": (
        PNG[: PNG.index(b"IDAT") + 12] + b"?" + PNG[PNG.index(b"IDAT") + 13 :],
        "damaged picture",
    ),
    "checksum_alone.png": (PNG[:-16] + bytes(4) + PNG[-12:], "damaged picture .*checksum"),
    "checksum.png": (PNG[:29] + bytes(4) + PNG[33:], UNKNOWN),
    "0x0.png": (png_header(0, 0), UNKNOWN),
    "100k.png": (png_header(100_000, 100_000), "has 10,000 million pixels; .*up to 64 million"),
    "12k.png": (png_header(12_000, 12_000), "has 144 million pixels|has 12000 × 12000 pixels"),
    "9k.png": (png_header(9_000, 9_000), "has 9000 × 9000 pixels; .*up to 64 million"),
    "bomb.gif": (
        b"GIF89a"
        + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
        + b"!\xf9\x04\x08\0\0\0\0,"
        + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
        + b"\x08\0;",
        "has 4,295 million pixels",
    ),
    "text_bomb.png": (
        png_of(
            (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
            (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000))),
            (b"IDAT", zlib.compress(bytes(4))),
        ),
        "damaged picture .*Decompressed data too large",
    ),
    "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture.*install pillow-heif"),
    "float.tif": (
        encoded(GRAY.astype(np.float32), "TIFF"),
        r"floating-point values outside 0\.\.1",
    ),
    "nan.tif": (encoded(np.full((2, 2), np.nan, np.float32), "TIFF"), "floating-point values"),
    "int32.tif": (encoded(GRAY.astype(np.int32), "TIFF"), "32-bit whole numbers"),
}


def without_adobe_marker(jpeg: bytes) -> bytes:
    """The same without the segment by which Adobe's programs are known."""
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + struct.unpack_from(">H", jpeg, start + 2)[0] :]


def by_opencv(file: bytes) -> np.ndarray:
    """What another decoder makes of it."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), flags))[..., ::-1]


def lying(orientation: int) -> np.ndarray:
    """COLORS as a camera stores it that was held so."""
    stored = {
        1: COLORS,
        2: COLORS[:, ::-1],
        3: np.rot90(COLORS, 2),
        4: COLORS[::-1],
        5: COLORS.swapaxes(0, 1),
        6: np.rot90(COLORS, 1),  # to be shown turned by 90° clockwise
        7: np.rot90(COLORS, 2).swapaxes(0, 1),
        8: np.rot90(COLORS, -1),
    }[orientation]
    return np.ascontiguousarray(stored)


SMOOTH = cv2.resize(COLORS, (64, 48))
SMOOTH_JPEG = encoded(SMOOTH, "JPEG", quality=92)
GRAY_JPEG = encoded(GRAY, "JPEG", quality=100)
INK_JPEG = encoded(Image.fromarray(INKS, "CMYK"), "JPEG", quality=100, subsampling=0)
YCCK_JPEG = INK_JPEG.replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")
UNMARKED_JPEG = without_adobe_marker(INK_JPEG)
CONVERTED = ("CMYK converted to RGB",)

# name: (file, pixels, by how much a pixel may differ, grey, notes)
NEAR: dict[str, tuple[bytes, np.ndarray, int, bool, tuple[str, ...]]] = {
    "plain.jpg": (SMOOTH_JPEG, by_opencv(SMOOTH_JPEG), 2, False, ()),
    "two_bytes_short.jpg": (SMOOTH_JPEG[:-2], by_opencv(SMOOTH_JPEG), 2, False, ()),
    "gray_jpg.jpg": (GRAY_JPEG, by_opencv(GRAY_JPEG), 2, True, ()),
    "inks.jpg": (INK_JPEG, by_opencv(INK_JPEG), 4, False, CONVERTED),
    "inks_ycck.jpg": (YCCK_JPEG, by_opencv(YCCK_JPEG), 4, False, CONVERTED),
    "inks_unmarked.jpg": (UNMARKED_JPEG, by_opencv(UNMARKED_JPEG), 4, False, CONVERTED),
    "inks_tif.tif": (
        encoded(Image.fromarray(INKS, "CMYK"), "TIFF"),
        COLORS * (255.0 - INKS[..., 3:]) / 255,
        1,
        False,
        CONVERTED,
    ),
    "smooth_webp.webp": (encoded(SMOOTH, "WEBP", quality=100), SMOOTH, 24, False, ()),
    **{
        f"lying_{orientation}.png": (
            encoded(lying(orientation), "PNG", exif=exif(orientation)),
            COLORS,
            0,
            False,
            (),
        )
        for orientation in range(1, 9)
    },
}

# Names that would be something else to a shell, a browser, a terminal or a printf.
NAMES = (
    *("-rf.png", "two  words .png", "é中😀.png", "new\nline.png", "tab\tand\rreturn.png"),
    *("<img src=x onerror=alert(1)>.png", "'quoted\".png", "{{ 7*7 }} %s {0}.png"),
    *("[red]markup[.png", "\x1b[31mescape.png", "$(touch canary).png", "a;b&c|d.png"),
    *("%2e%2e%5cup.png", "up\\..\\up.png", "\u202egnp.exe.png", os.fsdecode(b"\xff\xfe bytes.png")),
    *("é" * 123 + ".png", "UPPER.PNG", "CON.png", "two.dots.png"),
)


@frozen(eq=False)
class Member:
    """A file of the zoo: `pixels` None is one that is to be refused for `reason`, a pattern."""

    content: bytes | None = None
    pixels: np.ndarray | None = None
    alpha: np.ndarray | None = None
    gray: bool = False
    notes: tuple[str, ...] = ()
    off_by: int = 0
    reason: str = ""

    @property
    def on_white(self) -> np.ndarray:
        """What a viewer shows, [H, W, 3] in 0..255, as real numbers."""
        assert self.pixels is not None
        cover = np.asarray(255 if self.alpha is None else self.alpha, np.float64)[..., None] / 255
        return np.asarray(self.pixels * cover + 255 * (1 - cover))


MEMBERS: dict[str, Member] = {
    **{name: Member(*found) for name, found in EXACT.items()},
    **{
        name: Member(content, pixels, None, gray, notes, off_by)
        for name, (content, pixels, off_by, gray, notes) in NEAR.items()
    },
    **{name: Member(content, reason=reason) for name, (content, reason) in REFUSED.items()},
    **{name: Member(PNG, COLORS) for name in NAMES},
}
NO_FILES = {
    "dangling.jpg": Member(reason="is a link to a missing file"),
    "loop.jpg": Member(reason="too many levels of symbolic links"),
    "pipe.jpg": Member(reason="is not a regular file"),
    "linked.png": Member(PNG, COLORS),
    "unreadable.png": Member(PNG, COLORS)
    if hasattr(os, "geteuid") and os.geteuid() == 0
    else Member(reason="permission denied"),
}


def fill(folder: Path) -> Mapping[str, Member]:
    """Let the whole zoo into a folder; what is there by name, without the folder `folder.jpg`."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name, member in MEMBERS.items():
        assert member.content is not None
        (folder / name).write_bytes(member.content)
    (folder / "dangling.jpg").symlink_to(folder / "gone")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder.parent / "elsewhere").write_bytes(PNG)
    (folder / "linked.png").symlink_to(folder.parent / "elsewhere")
    (folder / "unreadable.png").write_bytes(PNG)
    (folder / "unreadable.png").chmod(0)
    (folder / "folder.jpg").mkdir()
    return MEMBERS | NO_FILES
