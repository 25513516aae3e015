"""Sixteen bits a channel are read whole, written whole, and reduced only where there is no room."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from frx import images
from frx.errors import DataError

pytestmark = pytest.mark.filterwarnings("error")

HEIGHT, WIDTH = 37, 53
# All values of 16 bits are as likely as another, and no channel is like another or its neighbour.
SAMPLES = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)
CHANNELS = {"L": [0], "LA": [0, 3], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
ADAM7 += [(1, 0, 2, 1)]  # first row and column, steps of rows and columns


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def rows_of(samples: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)


def png(samples: np.ndarray, *chunks: bytes, interlaced: bool = False) -> bytes:
    """A PNG [H, W, C] of 16 bits, written down from its specification."""
    height, width, channels = samples.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, interlaced)
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    raw = b"".join(rows_of(samples[top::down, left::across]) for top, left, down, across in passes)
    data = chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def tiff(
    samples: np.ndarray,
    photometric: int,
    *,
    order: str = "<",
    extra: int | None = None,
    orientation: int | None = None,
) -> bytes:
    """A TIFF [H, W, C] of 16 bits and no compression, in one strip."""
    body = samples.astype(order + "u2").tobytes()
    tags = {262: photometric, 338: extra, 274: orientation}
    return tiff_of(samples.shape, [body], order, tags | {258: (16,) * samples.shape[2], 259: 1})


def tiff_of(shape: tuple[int, ...], strips: list[bytes], order: str, tags: dict[int, Any]) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    sizes = tuple(len(strip) for strip in strips)
    offsets = (0, *np.cumsum(sizes).tolist()[:-1])
    layout = {256: shape[1], 257: shape[0], 277: shape[2], 273: offsets, 278: shape[0], 279: sizes}
    for tag, value in (layout | tags).items():
        if value is not None:
            directory[tag] = value
    file = io.BytesIO()
    directory.save(file)
    return file.getvalue() + b"".join(strips)


def opencv_tiff(samples: np.ndarray, compression: int) -> bytes:
    order = {1: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[samples.shape[2]]
    turned = samples if order is None else cv2.cvtColor(samples, order)
    done, encoded = cv2.imencode(".tiff", turned, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert done
    return encoded.tobytes()


def decoded_by_opencv(path: Path) -> np.ndarray:
    """The samples [H, W, C] of a file, red first."""
    samples = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    if samples.ndim == 2:
        return samples[..., None]
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x013B] = "Ada Lovelace"
    tags[0x8769] = {0x829A: (1, 60), 0x8827: 400, 0x9003: "1843:08:01 12:00:00"}
    tags[0x8825] = {1: "N", 2: (51.0, 30.0, 26.5)}
    return tags.tobytes()


def profile(mode: str) -> bytes:
    return SRGB[:16] + (b"GRAY" if mode.startswith("L") else b"RGB ") + SRGB[20:]


def same(actual: np.ndarray | None, expected: np.ndarray | None) -> None:
    assert (actual is None) == (expected is None)
    if actual is not None and expected is not None:
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


FILES = {f"{mode}.png": (png(SAMPLES[..., channels]), mode) for mode, channels in CHANNELS.items()}
FILES |= {
    f"{mode}_interlaced.png": (png(SAMPLES[..., channels], interlaced=True), mode)
    for mode, channels in CHANNELS.items()
}
FILES |= {
    f"{mode}_{name}.tif": (opencv_tiff(SAMPLES[..., CHANNELS[mode]], compression), mode)
    for mode in ("L", "RGB", "RGBA")
    for name, compression in {"plain": 1, "lzw": 5, "deflate": 8}.items()
}
FILES |= {
    f"{mode}_{order}.tif": (
        tiff(SAMPLES[..., CHANNELS[mode]], 1 if mode == "L" else 2, order=order, **extra),
        mode,
    )
    for order in "<>"
    for mode, extra in {"L": {}, "RGB": {}, "RGBA": {"extra": 2}}.items()
}
# What some viewers would take as a wish to change the values.
FILES["gamma.png"] = (
    png(
        SAMPLES[..., :3],
        chunk(b"gAMA", struct.pack(">I", 100_000)),
        chunk(b"sBIT", bytes([12, 12, 12])),
    ),
    "RGB",
)


@pytest.mark.parametrize("name", FILES)
def test_every_bit_is_read(name: str, tmp_path: Path) -> None:
    content, mode = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)

    photograph = images.read(path)

    colors = SAMPLES[..., [0, 0, 0] if mode.startswith("L") else [0, 1, 2]]
    alpha = SAMPLES[..., 3] if mode.endswith("A") else None
    same(photograph.deep, colors)
    same(photograph.deep_alpha, alpha)
    same(photograph.pixels, (colors >> 8).astype(np.uint8))
    same(photograph.alpha, None if alpha is None else (alpha >> 8).astype(np.uint8))
    assert photograph.gray == mode.startswith("L")
    assert photograph.notes == ()
    if alpha is None:
        same(images.read_rgb(path), photograph.pixels)


def test_files_of_8_bits_have_nothing_deep(tmp_path: Path) -> None:
    for name, mode in {"a.png": "RGBA", "a.tif": "L", "a.jpg": "RGB", "a.webp": "RGB"}.items():
        Image.new(mode, (8, 8)).save(tmp_path / name)
        photograph = images.read(tmp_path / name)
        assert (photograph.deep, photograph.deep_alpha) == (None, None)


def test_12_bits_are_stretched_to_16(tmp_path: Path) -> None:
    packed = bytes([0x00, 0x00, 0x01, 0xAB, 0xCF, 0xFF])  # 0x000 0x001 0xABC 0xFFF
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of((1, 4, 1), [packed], "<", {258: 12, 259: 1, 262: 1}))
    photograph = images.read(path)
    assert photograph.deep is not None
    assert photograph.deep[0, :, 0].tolist() == [0x0000, 0x0010, 0xABCA, 0xFFFF]
    same(photograph.pixels, (photograph.deep >> 8).astype(np.uint8))


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(SAMPLES[..., :1], 0))
    photograph = images.read(path)
    same(photograph.deep, 65535 - SAMPLES[..., [0, 0, 0]])
    same(photograph.pixels, ((65535 - SAMPLES[..., [0, 0, 0]]) >> 8).astype(np.uint8))


def test_a_transparent_grey_is_transparent_in_16_bits(tmp_path: Path) -> None:
    value = int(SAMPLES[3, 4, 0])
    path = tmp_path / "a.png"
    path.write_bytes(png(SAMPLES[..., :1], chunk(b"tRNS", struct.pack(">H", value))))
    photograph = images.read(path)
    same(photograph.deep_alpha, np.where(SAMPLES[..., 0] == value, 0, 65535).astype(np.uint16))


@pytest.mark.parametrize("kind", ["multiplied by alpha", "four inks", "planes"])
def test_what_cannot_be_kept_is_reduced_and_said(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    if kind == "planes":
        planes = [zlib.compress(SAMPLES[..., channel].tobytes()) for channel in range(3)]
        tags = {258: (16,) * 3, 259: 8, 262: 2, 284: 2}
        path.write_bytes(tiff_of((HEIGHT, WIDTH, 3), planes, "<", tags))
    elif kind == "four inks":
        path.write_bytes(tiff(SAMPLES, 5))
    else:
        path.write_bytes(tiff(SAMPLES, 2, extra=1))
    photograph = images.read(path)
    assert photograph.deep is None
    assert photograph.notes[0] == "16 bits a channel reduced to 8"
    if kind == "planes":
        same(photograph.pixels, (SAMPLES[..., :3] >> 8).astype(np.uint8))


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright_with_all_its_bits(
    kind: str, orientation: int, tmp_path: Path
) -> None:
    upright = SAMPLES
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: np.rot90(upright, 2),
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),  # to be shown turned by 90° clockwise
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    path = tmp_path / f"a.{kind}"
    if kind == "png":
        path.write_bytes(png(stored, chunk(b"eXIf", exif(orientation)[6:])))
    else:
        path.write_bytes(tiff(stored, 2, extra=2, orientation=orientation))

    photograph = images.read(path)

    same(photograph.deep, upright[..., :3])
    same(photograph.deep_alpha, upright[..., 3])
    images.write(path, upright[..., :3], like=photograph)
    again = images.read(path)
    same(again.deep, upright[..., :3])
    same(again.deep_alpha, upright[..., 3])
    same(decoded_by_opencv(path), upright)


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".png", mode) for mode in CHANNELS] + [(".tif", mode) for mode in CHANNELS if mode != "LA"],
)
def test_a_file_comes_back_bit_for_bit(suffix: str, mode: str, tmp_path: Path) -> None:
    source = tmp_path / f"in{suffix}"
    iccp = chunk(b"iCCP", b"x\0\0" + zlib.compress(profile(mode)))
    source.write_bytes(png(SAMPLES[..., CHANNELS[mode]], iccp, chunk(b"eXIf", exif()[6:])))
    if suffix == ".tif":
        # By way of a PNG: no other writer here gives a TIFF of 16 bits EXIF and a profile.
        photograph = images.read(source)
        assert photograph.deep is not None
        images.write(source, photograph.deep, like=photograph)
    before = images.read(source)
    assert before.deep is not None
    assert before.exif is not None
    assert before.icc_profile == profile(mode)

    path = tmp_path / f"out{suffix}"
    images.write(path, before.deep, like=before)

    after = images.read(path)
    same(after.deep, before.deep)
    same(after.deep_alpha, before.deep_alpha)
    same(after.pixels, before.pixels)
    same(after.alpha, before.alpha)
    for kept in ("gray", "format", "exif", "icc_profile", "notes"):
        assert getattr(after, kept) == getattr(before, kept)
    same(after.deep, SAMPLES[..., [0, 0, 0] if mode.startswith("L") else [0, 1, 2]])
    # Others see the same.
    stored = decoded_by_opencv(path)
    shown_as = {"L": [0], "LA": [0, 0, 0, 3]}.get(mode, CHANNELS[mode])
    same(stored, SAMPLES[..., shown_as])
    with Image.open(path) as image:
        image.load()
        assert image.size == (WIDTH, HEIGHT)
        assert image.mode == {"L": "I;16", "LA": "RGBA"}.get(mode, mode)
        assert image.info["icc_profile"] == profile(mode)
        tags = image.getexif()
        assert tags[0x013B] == "Ada Lovelace"
        assert tags.get_ifd(0x8769)[0x8827] == 400
        assert tags.get_ifd(0x8769)[0x9003] == "1843:08:01 12:00:00"
        assert tags.get_ifd(0x8825)[2] == (51.0, 30.0, 26.5)


def test_grey_with_alpha_becomes_colour_in_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(SAMPLES[..., [0, 3]]))
    source = images.read(tmp_path / "a.png")
    assert source.deep is not None
    images.write(tmp_path / "b.tif", source.deep, like=source)
    back = images.read(tmp_path / "b.tif")
    same(back.deep, source.deep)
    same(back.deep_alpha, source.deep_alpha)
    same(decoded_by_opencv(tmp_path / "b.tif"), SAMPLES[..., [0, 0, 0, 3]])

    with_profile = attrs.evolve(source, icc_profile=profile("L"))
    with pytest.raises(DataError, match=r"c\.tif: cannot be written as TIFF .*; write PNG"):
        images.write(tmp_path / "c.tif", source.deep, like=with_profile)
    assert not (tmp_path / "c.tif").exists()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pixels_that_are_not_changed_keep_every_bit(suffix: str, tmp_path: Path) -> None:
    images.write(tmp_path / f"a{suffix}", SAMPLES[..., :3])
    source = images.read(tmp_path / f"a{suffix}")
    assert source.deep is not None
    filled = source.deep.copy()
    filled[10:20, 5:25] = 12_345
    images.write(tmp_path / f"b{suffix}", filled, like=source)
    stored = decoded_by_opencv(tmp_path / f"b{suffix}")
    changed = np.zeros((HEIGHT, WIDTH), bool)
    changed[10:20, 5:25] = True
    assert (stored[changed] == 12_345).all()
    same(stored[~changed], SAMPLES[..., :3][~changed])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_shape_are_written_whole(
    suffix: str, channels: int, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    tall = np.resize(SAMPLES[..., :channels], (3000, 90, channels))  # several strips of a TIFF
    for picture in (RAMP[..., None][..., [0] * channels], tall, tall[::-1, ::3], tall[:1, :1]):
        images.write(path, picture if channels == 3 else picture[..., 0])
        same(decoded_by_opencv(path), picture)
        deep = images.read(path).deep
        same(deep, picture if channels == 3 else picture[..., [0, 0, 0]])
        with Image.open(path) as image:
            assert "exif" not in image.info
            assert "icc_profile" not in image.info


def test_a_png_is_made_of_the_chunks_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    (tmp_path / "in.png").write_bytes(
        png(
            SAMPLES[..., [0, 3]],
            chunk(b"iCCP", b"x\0\0" + zlib.compress(profile("LA"))),
            chunk(b"eXIf", exif()[6:]),
        )
    )
    source = images.read(tmp_path / "in.png")
    assert source.deep is not None
    images.write(path, source.deep, like=source)
    content = path.read_bytes()
    names, at = [], 8
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        names.append(content[at + 4 : at + 8])
        (checksum,) = struct.unpack_from(">I", content, at + 8 + size)
        assert checksum == zlib.crc32(content[at + 4 : at + 8 + size])
        at += 12 + size
    assert [name for name, before in pairwise([*names, b""]) if name != before] == [
        b"IHDR",
        b"iCCP",
        b"eXIf",
        b"IDAT",
        b"IEND",
    ]
    assert struct.unpack_from(">IIBB", content, 16) == (WIDTH, HEIGHT, 16, 4)


def test_alpha_of_8_bits_is_stretched_for_deep_pixels(tmp_path: Path) -> None:
    Image.fromarray((SAMPLES >> 8).astype(np.uint8)).save(tmp_path / "a.png")
    source = images.read(tmp_path / "a.png")
    for name in ("b.png", "b.tif"):
        images.write(tmp_path / name, SAMPLES[..., :3], like=source)
        back = images.read(tmp_path / name)
        same(back.deep, SAMPLES[..., :3])
        same(back.alpha, source.alpha)
        same(back.deep_alpha, (SAMPLES[..., 3] >> 8) * np.uint16(257))


def test_deep_alpha_grows_with_the_picture(tmp_path: Path) -> None:
    soft = np.dstack(
        [SAMPLES[..., :3], np.tile(np.linspace(0, 65535, WIDTH).astype(np.uint16), (HEIGHT, 1))]
    )
    (tmp_path / "a.png").write_bytes(png(soft))
    source = images.read(tmp_path / "a.png")
    assert source.deep is not None
    larger = images.resize(source.deep, 2 * HEIGHT, 2 * WIDTH)
    assert (larger.shape, larger.dtype) == ((2 * HEIGHT, 2 * WIDTH, 3), np.uint16)
    images.write(tmp_path / "b.png", larger, like=source)
    back = images.read(tmp_path / "b.png")
    assert back.deep_alpha is not None
    across = back.deep_alpha[HEIGHT].astype(int)
    assert across[0] < 300
    assert across[-1] > 65_200
    assert np.diff(across).max() < 1000  # 8 bits would grow in steps of 1,261 and none


def test_grey_stays_grey_and_weights_colours_as_8_bits_do(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", SAMPLES[..., 0])
    source = images.read(tmp_path / "a.png")
    assert source.gray
    colored = (SAMPLES[..., :3] >> 8).astype(np.uint8)
    images.write(tmp_path / "deep.png", colored * np.uint16(257), like=source)
    images.write(tmp_path / "flat.png", colored, like=source)
    deep, flat = images.read(tmp_path / "deep.png"), images.read(tmp_path / "flat.png")
    assert deep.gray
    assert deep.deep is not None
    assert flat.gray
    assert flat.deep is None
    np.testing.assert_allclose(deep.deep / 257, flat.pixels, atol=0.51)


def test_pixels_of_8_bits_make_a_file_of_8_bits(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        (tmp_path / "a.png").write_bytes(png(SAMPLES))
        source = images.read(tmp_path / "a.png")
        images.write(tmp_path / f"b{suffix}", source.pixels, like=source)
        back = images.read(tmp_path / f"b{suffix}")
        same(back.pixels, source.pixels)
        same(back.alpha, source.alpha)
        assert back.deep is None


def test_other_formats_get_the_nearest_of_8_bits(tmp_path: Path) -> None:
    rounded = np.rint(RAMP / 257).astype(np.uint8)
    images.write(tmp_path / "a.bmp", RAMP)
    same(images.read_rgb(tmp_path / "a.bmp")[..., 0], rounded)
    for suffix in (".jpg", ".webp", ".gif", ".avif"):
        if images.SUFFIXES[suffix] in images.FORMATS:
            images.write(tmp_path / f"a{suffix}", RAMP, quality=100)
            read = images.read_rgb(tmp_path / f"a{suffix}").astype(int)
            assert np.abs(read - rounded[..., None]).max() <= 4, suffix


@pytest.mark.parametrize(
    "name",
    [
        "RGB.png",
        "LA.png",
        "RGBA_interlaced.png",
        "L_plain.tif",
        "RGB_<.tif",
        "RGBA_>.tif",
        "RGB_lzw.tif",
    ],
)
def test_a_cut_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    content, _ = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert images.read(path).deep is not None
    for length in (len(content) // 2, len(content) // 5, len(content) - len(content) // 9):
        path.write_bytes(content[:length])
        with pytest.raises(
            DataError, match=f"{name}.*(damaged picture|its header is damaged)"
        ) as caught:
            images.read(path)
        assert "\n" not in str(caught.value)


def test_too_many_deep_pixels_are_refused_in_the_header(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 9_000, 9_000, 16, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    small = tiff(SAMPLES, 2, extra=2)
    for tag, side in {256: WIDTH, 257: HEIGHT}.items():
        entry = struct.pack("<HHII", tag, 4, 1, side)
        assert small.count(entry) == 1
        small = small.replace(entry, struct.pack("<HHII", tag, 4, 1, 9_000))
    (tmp_path / "a.tif").write_bytes(small)
    for name in ("a.png", "a.tif"):
        with pytest.raises(DataError, match=f"{name} has 9000 × 9000 pixels; .*up to 64 million"):
            images.read(tmp_path / name)
