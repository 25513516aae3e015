"""Every kind of picture file is read right, or refused in one sentence that names it."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from zoo import ALPHA, CMYK, COLORS, MEMBERS, REFUSED, RGBA, SRGB, encoded, exif, gray_rgb

from frx import images
from frx.errors import DataError, ResourceError

pytestmark = pytest.mark.filterwarnings("error")


READ = {name: member for name, member in MEMBERS.items() if member.pixels is not None}


@pytest.mark.parametrize("name", READ)
def test_odd_kinds_are_read_as_what_they_are(name: str, tmp_path: Path) -> None:
    member = READ[name]
    path = tmp_path / name
    assert member.content is not None
    path.write_bytes(member.content)

    photograph = images.read(path)

    np.testing.assert_allclose(photograph.pixels, member.pixels, atol=member.off_by)
    assert photograph.pixels.dtype == np.uint8
    if member.alpha is None:
        assert photograph.alpha is None
    else:
        assert photograph.alpha is not None
        assert photograph.alpha.dtype == np.uint8
        np.testing.assert_array_equal(photograph.alpha, member.alpha)
    assert photograph.gray == member.gray
    assert photograph.notes == member.notes
    assert images.read_size(path) == member.on_white.shape[:2]
    np.testing.assert_allclose(images.read_rgb(path), member.on_white, atol=member.off_by + 0.51)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(name: str, tmp_path: Path) -> None:
    content, reason = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    for read in (images.read, images.read_rgb):
        with pytest.raises(DataError, match=f"{name}.*({reason})") as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert "BytesIO" not in str(caught.value)


def test_the_zoo_is_large_but_small() -> None:
    files = [member.content for member in MEMBERS.values() if member.content is not None]
    assert len(files) >= 100
    assert sum(map(len, files)) < 1_000_000


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_turned_upright_once(kind: str, orientation: int, tmp_path: Path) -> None:
    corner = np.zeros((16, 24, 3), np.uint8)
    corner[:8, :8] = 255  # top left as stored
    top, left = {
        1: (1, 1),
        2: (1, 0),
        3: (0, 0),
        4: (0, 1),
        5: (1, 1),
        6: (1, 0),
        7: (0, 0),
        8: (0, 1),
    }[orientation]
    path = tmp_path / "turned"
    path.write_bytes(encoded(corner, kind, exif=exif(orientation)))

    photograph = images.read(path)

    height, width = (16, 24) if orientation < 5 else (24, 16)
    assert photograph.pixels.shape == (height, width, 3)
    bright = photograph.pixels[..., 0] > 128
    rows = slice(0, 8) if top else slice(height - 8, height)
    columns = slice(0, 8) if left else slice(width - 8, width)
    assert bright[rows, columns].all()
    assert bright.sum() == 64
    np.testing.assert_array_equal(images.read_rgb(path), photograph.pixels)
    assert images.read_size(path) == (height, width)

    images.write(tmp_path / "again.png", photograph.pixels, like=photograph)
    with Image.open(tmp_path / "again.png") as again:
        assert again.getexif().get(0x0112, 1) == 1
        assert again.getexif()[0x013B] == "Ada Lovelace"
    np.testing.assert_array_equal(images.read_rgb(tmp_path / "again.png"), photograph.pixels)


def test_upright_exif_differs_in_the_orientation_alone(tmp_path: Path) -> None:
    for big in (False, True):
        path = tmp_path / "turned.jpg"
        path.write_bytes(encoded(COLORS, "JPEG", exif=exif(6, big)))
        assert images.read(path).exif == exif(1, big)


def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(COLORS, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    np.testing.assert_array_equal(images.read(path).pixels, COLORS)


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_four_ink_jpegs_match_another_decoder(transform: int, tmp_path: Path) -> None:
    content = bytearray(encoded(CMYK, "JPEG", quality=100, subsampling=0))
    content[content.index(b"Adobe") + 11] = transform
    path = tmp_path / "ink.jpg"
    path.write_bytes(content)

    photograph = images.read(path)

    reference = np.asarray(cv2.imread(str(path)))[..., ::-1]
    difference = np.abs(photograph.pixels.astype(int) - reference)
    assert difference.max() <= 4
    assert photograph.notes == ("CMYK converted to RGB",)


@pytest.mark.parametrize(
    ("height", "width", "size", "reduced"),
    [
        (64, 64, 64, (64, 64)),
        (64, 64, 32, (32, 32)),
        (64, 64, 20, (64, 64)),  # 32 would be less than twice 20
        (64, 80, 32, (64, 80)),  # no square
        (64, 80, 16, (32, 40)),
        (250, 131, 16, (63, 33)),
        (250, 131, 2, (32, 17)),
    ],
)
def test_a_jpeg_is_reduced_as_far_as_its_size_allows(
    height: int, width: int, size: int, reduced: tuple[int, int], tmp_path: Path
) -> None:
    smooth = images.resize(COLORS, height, width)
    images.write(tmp_path / "a.jpg", smooth, quality=100)
    found = images.read_rgb(tmp_path / "a.jpg", reduced_for=size)
    assert found.shape[:2] == reduced
    whole = images.read_rgb(tmp_path / "a.jpg")
    assert np.abs(found.astype(int) - images.resize(whole, *reduced)).max() <= 16
    images.write(tmp_path / "a.png", smooth)
    np.testing.assert_array_equal(images.read_rgb(tmp_path / "a.png", reduced_for=size), smooth)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_jpegs_are_reduced_and_turned_too(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(images.resize(COLORS, 40, 64)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(encoded(picture, "JPEG", quality=100, exif=exif.tobytes()))
    found = images.read_rgb(tmp_path / "a.jpg", reduced_for=10)
    assert found.shape == (32, 20, 3)
    whole = images.read_rgb(tmp_path / "a.jpg")
    assert np.abs(found.astype(int) - images.resize(whole, 32, 20)).max() <= 16


def test_the_limit_is_that_of_the_whole_picture(tmp_path: Path) -> None:
    images.write(tmp_path / "a.jpg", images.resize(COLORS, 64, 64))
    with pytest.raises(DataError, match=r"64 × 64 pixels; frx reads pictures of up to"):
        images.read_rgb(tmp_path / "a.jpg", max_pixels=4_000, reduced_for=8)


@pytest.mark.parametrize("reduced_for", [None, 2])
def test_a_cut_jpeg_is_refused_however_it_is_read(reduced_for: int | None, tmp_path: Path) -> None:
    content = encoded(images.resize(COLORS, 64, 64), "JPEG")
    for length in range(0, len(content) - 40, 7):
        (tmp_path / "cut.jpg").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cut\.jpg"):
            images.read_rgb(tmp_path / "cut.jpg", reduced_for=reduced_for)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_cut_file_never_gives_other_pixels(kind: str, tmp_path: Path) -> None:
    content = encoded(COLORS, kind)
    path = tmp_path / "cut"
    path.write_bytes(content)
    whole = images.read_rgb(path)
    refused = 0
    for length in range(0, len(content) - 1, 7):
        path.write_bytes(content[:length])
        try:
            np.testing.assert_array_equal(images.read_rgb(path), whole)
        except DataError:
            refused += 1
    assert refused > len(content) // 7 - 10


def test_things_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in {
        "folder.jpg": "is a folder",
        "dangling.jpg": "is a link to a missing file",
        "loop.jpg": "too many levels of symbolic links",
        "pipe.jpg": "is not a regular file",
        "gone.jpg": "does not exist",
        "nul\0.jpg": "null byte",
        "folder.jpg/x.jpg": "does not exist",
    }.items():
        with pytest.raises(DataError, match=reason):
            images.read(tmp_path / name)


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(COLORS, "PNG"))
    assert images.read(path, max_pixels=192).pixels.shape == (12, 16, 3)
    with pytest.raises(DataError, match=r"has 16 × 12 pixels; .*up to 0.000191 million"):
        images.read(path, max_pixels=191)


def test_pillows_settings_are_left_alone(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    for name in ("100k.png", "text.jpg"):
        (tmp_path / name).write_bytes(REFUSED[name][0])
        with pytest.raises(DataError):
            images.read(tmp_path / name)
    assert before == Image.MAX_IMAGE_PIXELS


def test_masks_are_0_or_255(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(images.read_mask(tmp_path / "m.png"), [[0, 0, 255, 255]])
    with pytest.raises(DataError, match=r"m\.png is no mask: it has values other than 0 and 255"):
        images.read_mask(tmp_path / "m.png", strict=True)
    painted = np.full((2, 2, 4), 255, np.uint8)
    painted[0, :, 3] = 0  # white, but transparent: not painted
    Image.fromarray(painted).save(tmp_path / "painted.png")
    mask = images.read_mask(tmp_path / "painted.png", strict=True)
    np.testing.assert_array_equal(mask, [[0, 0], [255, 255]])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_a_file_comes_back_as_it_was(suffix: str, mode: str, tmp_path: Path) -> None:
    if suffix == ".jpg" and mode.endswith("A"):
        pytest.skip("JPEG has no alpha")
    gray = mode.startswith("L")
    profile = SRGB[:16] + (b"GRAY" if gray else b"RGB ") + SRGB[20:]
    options: dict[str, Any] = {"exif": exif(1), "icc_profile": profile}
    Image.fromarray(RGBA).convert(mode).save(tmp_path / f"in{suffix}", **options)
    source = images.read(tmp_path / f"in{suffix}")

    images.write(tmp_path / f"out{suffix}", source.pixels, like=source)

    back = images.read(tmp_path / f"out{suffix}")
    assert (back.gray, back.format) == (source.gray, source.format)
    assert source.gray == (gray and suffix != ".webp")  # WebP stores no grey
    assert back.icc_profile == source.icc_profile
    if suffix != ".webp" or not gray:
        assert back.icc_profile == profile
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.getexif()[0x013B] == "Ada Lovelace"
    if suffix in (".png", ".tif"):
        np.testing.assert_array_equal(back.pixels, source.pixels)
    if mode.endswith("A"):
        assert back.alpha is not None
        np.testing.assert_array_equal(back.alpha, source.alpha)


def test_a_png_has_the_very_pixels_and_nothing_else(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8)
    path = tmp_path / "a.png"
    for pixels in (COLORS, noise, noise[::-1, ::2], noise[..., ::-1], noise[..., 1], noise[:1, :1]):
        images.write(path, pixels)
        with Image.open(path) as image:
            assert (image.mode, image.info) == ("RGB" if pixels.ndim == 3 else "L", {})
            np.testing.assert_array_equal(np.asarray(image), pixels)
    with pytest.raises(DataError, match=r"a\.png: cannot be written as PNG \(it has no pixels\)"):
        images.write(path, noise[:0])


def test_alpha_grows_with_an_enlarged_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(RGBA, "PNG"))
    source = images.read(tmp_path / "a.png")
    images.write(tmp_path / "b.png", images.resize(source.pixels, 24, 32), like=source)
    back = images.read(tmp_path / "b.png")
    assert back.alpha is not None
    assert back.alpha.shape == (24, 32)
    assert int(back.alpha[0, 0]) < 12 < 240 < int(back.alpha[-1, 0])


def test_jpeg_cannot_take_transparency(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(RGBA, "PNG"))
    source = images.read(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"b\.jpg: JPEG cannot keep the transparency of .*a\.png"):
        images.write(tmp_path / "b.jpg", source.pixels, like=source)
    (tmp_path / "opaque.png").write_bytes(encoded(np.dstack([COLORS, 255 + 0 * ALPHA]), "PNG"))
    opaque = images.read(tmp_path / "opaque.png")
    images.write(tmp_path / "b.jpg", opaque.pixels, like=opaque)
    assert images.read(tmp_path / "b.jpg").alpha is None


@pytest.mark.parametrize("quality", [30, 50, 75, 95, 100])
def test_the_quality_of_a_jpeg_is_known(quality: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    images.write(path, COLORS, quality=quality)
    estimate = images.read(path).quality
    assert estimate is not None
    assert abs(estimate - quality) <= 1


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    images.write(path, COLORS)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ResourceError, match=r"a\.png: cannot be written: No space left"):
        images.write(path, 255 - COLORS)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("file/a.png", "folder.png"):
        with pytest.raises(ResourceError, match=f"{name}: cannot be written"):
            images.write(tmp_path / name, COLORS)
    (tmp_path / "file").unlink()
    with pytest.raises(DataError, match=r"a\.xyz: no picture format has this suffix .*\.png"):
        images.write(tmp_path / "a.xyz", COLORS)
    with pytest.raises(DataError, match=r"a\.png: cannot be written as PNG .*float32"):
        images.write(tmp_path / "a.png", COLORS.astype(np.float32))
    with pytest.raises(DataError, match=r"wide\.jpg: cannot be written as JPEG"):
        images.write(tmp_path / "wide.jpg", np.zeros((1, 70_000, 3), np.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.png"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    images.write(path, COLORS)
    np.testing.assert_array_equal(images.read_rgb(path), COLORS)


def test_shrinking_averages_and_growing_interpolates() -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 255
    small = images.resize(gray_rgb(checks), 2, 2)
    np.testing.assert_array_equal(small, np.full((2, 2, 3), 128))
    assert images.resize(COLORS, 12, 16) is COLORS
    tall = images.resize(COLORS, 24, 8)
    assert tall.shape == (24, 8, 3)
    ramp = images.resize(gray_rgb(np.array([[0, 100]])), 1, 8)[0, :, 0].astype(int)
    assert (np.diff(ramp) >= 0).all()


def test_a_resized_mask_has_no_new_values() -> None:
    mask = np.zeros((3, 3), np.uint8)
    mask[1, 1] = 255
    larger = images.resize_mask(mask, 9, 9)
    np.testing.assert_array_equal(larger, np.kron(mask, np.ones((3, 3), np.uint8)))
    assert set(np.unique(images.resize_mask(larger, 7, 5))) == {0, 255}


def test_the_square_is_in_the_middle() -> None:
    np.testing.assert_array_equal(images.crop_to_square(COLORS), COLORS[:, 2:14])
    assert images.crop_to_square(COLORS.swapaxes(0, 1)).shape == (12, 12, 3)


def test_no_other_module_opens_pictures() -> None:
    root = Path(images.__file__).parents[2]
    modules = [p for folder in ("core", "plugins") for p in (root / folder).rglob("*.py")]
    assert len(modules) > 10
    for module in modules:
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        openers = {"Image.open", "PIL.Image.open", "cv2.imread", "imread", "read_image"} & calls
        assert not openers or module.name == "images.py", f"{module} opens pictures itself"
