"""A file written like another is compressed as that was: JPEG's quality and colour, WebP's kind."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frx import images

pytestmark = pytest.mark.filterwarnings("error")

NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 4), np.uint8)
ROWS, COLUMNS = np.mgrid[:40, :56]
SMOOTH = np.stack([COLUMNS * 4, ROWS * 6, 255 - COLUMNS * 2], axis=-1).astype(np.uint8)


def saved(path: Path, picture: np.ndarray, kind: str, **options: Any) -> Path:
    Image.fromarray(picture).save(path, kind, **options)
    return path


def test_a_jpegs_quality_is_known_whatever_it_is(tmp_path: Path) -> None:
    for quality in range(1, 101):
        path = saved(tmp_path / "a.jpg", SMOOTH, "JPEG", quality=quality)
        source = images.read(path)
        assert source.quality == quality
        images.write(tmp_path / "b.jpg", source.pixels, like=source, quality=source.quality)
        assert images.read(tmp_path / "b.jpg").quality == quality
        with Image.open(path) as first, Image.open(tmp_path / "b.jpg") as second:
            assert first.quantization == second.quantization  # type: ignore[attr-defined]


def test_tables_of_another_maker_settle_at_once(tmp_path: Path) -> None:
    for level in (1, 3, 10, 40, 200):
        tables = [[level] * 64, [min(2 * level, 255)] * 64]
        path = saved(tmp_path / "a.jpg", SMOOTH, "JPEG", qtables=tables)
        source = images.read(path)
        assert source.quality is not None
        images.write(path, source.pixels, like=source, quality=source.quality)
        assert images.read(path).quality == source.quality


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpegs_colour_resolution_is_kept(subsampling: int, quality: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", SMOOTH, "JPEG", quality=80, subsampling=subsampling)
    source = images.read(path)
    assert source.subsampling == subsampling
    images.write(tmp_path / "b.jpg", source.pixels, like=source, quality=quality)
    again = images.read(tmp_path / "b.jpg")
    assert (again.subsampling, again.quality) == (subsampling, quality)
    # The frame header says how much finer brightness is: in width, in height.
    content = (tmp_path / "b.jpg").read_bytes()
    frame = content.index(b"\xff\xc0")
    assert content[frame + 11] == {0: 0x11, 1: 0x21, 2: 0x22}[subsampling]


def test_where_no_colour_resolution_is_known_it_is_full_at_high_quality(tmp_path: Path) -> None:
    saved(tmp_path / "gray.jpg", SMOOTH[..., 0], "JPEG")
    saved(tmp_path / "a.png", SMOOTH, "PNG")
    for name in ("gray.jpg", "a.png"):
        source = images.read(tmp_path / name)
        assert source.subsampling is None
        images.write(tmp_path / "b.jpg", source.pixels, like=source)
        assert images.read(tmp_path / "b.jpg").subsampling == (None if source.gray else 0)


@pytest.mark.parametrize("extra", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossless_webp_stays_lossless(
    channels: int, extra: dict[str, bytes], tmp_path: Path
) -> None:
    picture = NOISE[..., :channels]
    path = saved(tmp_path / "a.webp", picture, "WEBP", lossless=True, exact=True, **extra)
    source = images.read(path)
    assert source.lossless
    images.write(tmp_path / "b.webp", 255 - source.pixels, like=source)
    again = images.read(tmp_path / "b.webp")
    assert again.lossless
    np.testing.assert_array_equal(again.pixels, 255 - picture[..., :3])
    if channels == 4:
        assert again.alpha is not None
        np.testing.assert_array_equal(again.alpha, picture[..., 3])


@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossy_webp_stays_lossy(channels: int, tmp_path: Path) -> None:
    # Alpha is stored without loss all the same, in a chunk of its own.
    path = saved(tmp_path / "a.webp", NOISE[..., :channels], "WEBP", quality=80)
    source = images.read(path)
    assert not source.lossless
    images.write(tmp_path / "b.webp", source.pixels, like=source, quality=80)
    assert b"VP8 " in (tmp_path / "b.webp").read_bytes()
    assert not images.read(tmp_path / "b.webp").lossless


@pytest.mark.parametrize("lossless", [True, False])
def test_an_animation_is_as_lossless_as_its_first_frame(lossless: bool, tmp_path: Path) -> None:
    frames = [Image.fromarray(255 - NOISE[..., :3])]
    options = {"save_all": True, "append_images": frames, "lossless": lossless}
    path = saved(tmp_path / "a.webp", NOISE[..., :3], "WEBP", **options)
    assert images.read(path).lossless == lossless


def test_lossless_is_a_word_of_webp_alone(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(SMOOTH).save(file, "WEBP", lossless=True)
    (tmp_path / "a.webp").write_bytes(file.getvalue())
    source = images.read(tmp_path / "a.webp")
    images.write(tmp_path / "b.jpg", source.pixels, like=source, quality=50)
    back = images.read(tmp_path / "b.jpg")
    assert (back.quality, back.lossless) == (50, False)
