"""Photographs in, filled photographs out: masks, and what has to stay as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from frx import images, model_folder
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError, RecipeError
from frx.model_folder import Restorer
from frx.precision import Precision

Restore = Callable[..., Any]
RED = (200, 40, 10)


class PaintsRed(nn.Module):
    """Gives a red picture, whatever it sees."""

    def forward(self, degraded: Tensor, mask: Tensor) -> dict[str, Tensor]:
        assert mask.shape == (1, 1, *degraded.shape[-2:])
        assert mask.dtype == degraded.dtype == torch.float32
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        red = torch.tensor(RED).view(1, 3, 1, 1) / 255
        return {"image": red.expand_as(degraded)}


class NeedsNoMask(nn.Module):
    def forward(self, degraded: Tensor, mask: Tensor | None = None) -> Tensor:
        return torch.ones_like(degraded)


class Darkens(nn.Module):
    def forward(self, degraded: Tensor) -> Tensor:
        return degraded / 2


def restorer(module: nn.Module) -> Restorer:
    return Restorer(module, Precision(torch.device("cpu"), bf16=False), {})


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def face(height: int = 40, width: int = 48) -> np.ndarray:
    return images.resize(SyntheticFaces(size=48)[0]["clean"], height, width)


def hole(height: int = 40, width: int = 48) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[10:20, 5:30] = 255
    return mask


@pytest.fixture
def photos() -> Path:
    """Photographs in a folder and its sub-folder, with masks of other suffixes."""
    for name in ("a.jpg", "old/b.png", "old/c.webp"):
        images.write(f"photos/{name}", face())
        images.write(f"masks/{Path(name).with_suffix('.bmp')}", hole())
    return Path("photos")


def test_only_what_the_mask_marks_is_replaced(restore: Restore, photos: Path) -> None:
    outcome = restore([photos], Path("out"), restorer(PaintsRed()), Path("masks"))
    assert not outcome.failed
    assert [path.as_posix() for path in outcome.done] == [
        "out/a.png",
        "out/old/b.png",
        "out/old/c.png",
    ]
    for source, target in zip(("a.jpg", "old/b.png", "old/c.webp"), outcome.done, strict=True):
        given, filled = images.read_rgb(photos / source), images.read_rgb(target)
        np.testing.assert_array_equal(filled[hole() == 0], given[hole() == 0])
        assert (filled[hole() > 0] == RED).all()


def colour_under_alpha() -> Image.Image:
    alpha = np.linspace(0, 255, 40 * 48).reshape(40, 48).astype(np.uint8)
    return Image.fromarray(np.dstack([face(), alpha]))


@pytest.mark.parametrize(
    ("name", "written", "picture", "mode"),
    [
        ("a.png", "a.png", lambda: Image.fromarray(face()), "RGB"),
        ("a.png", "a.png", colour_under_alpha, "RGBA"),
        ("a.png", "a.png", lambda: Image.fromarray(face()[..., 0]), "L"),
        ("a.tif", "a.tif", colour_under_alpha, "RGBA"),
        ("a.tif", "a.tif", lambda: Image.fromarray(face()[..., 0]), "L"),
        ("a.bmp", "a.bmp", lambda: Image.fromarray(face()), "RGB"),
        ("a.gif", "a.png", lambda: Image.fromarray(face()[..., 0]), "L"),
        ("A.JPG", "A.png", lambda: Image.fromarray(face()), "RGB"),
        ("a.jpeg", "a.png", lambda: Image.fromarray(face()[..., 0]), "L"),
        ("a.webp", "a.png", colour_under_alpha, "RGBA"),
        ("a.avif", "a.png", lambda: Image.fromarray(face()), "RGB"),
    ],
)
def test_pixels_outside_the_mask_keep_every_bit_in_every_format(
    restore: Restore, name: str, written: str, picture: Callable[[], Image.Image], mode: str
) -> None:
    if name.endswith(".avif") and "AVIF" not in images.FORMATS:
        pytest.skip("this Pillow has no AVIF")
    picture().save(name)
    images.write("mask.png", hole())
    outcome = restore([Path(name)], Path("out"), restorer(PaintsRed()), Path("mask.png"))
    assert [path.name for path in outcome.done] == [written]
    with Image.open(name) as before, Image.open(f"out/{written}") as after:
        assert after.mode == mode
        given, filled = np.asarray(before.convert(mode)), np.asarray(after)
    np.testing.assert_array_equal(filled[hole() == 0], given[hole() == 0])
    assert (filled[hole() > 0] != given[hole() > 0]).any()
    if mode == "RGBA":
        np.testing.assert_array_equal(filled[..., 3], given[..., 3])


def test_a_mask_lies_on_the_picture_as_one_sees_it(restore: Restore) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying on its side
    Image.fromarray(face()).save("a.jpg", exif=turned)
    images.write("mask.png", hole(48, 40))
    (target,) = restore([Path("a.jpg")], Path("out"), restorer(PaintsRed()), Path("mask.png")).done
    filled = images.read_rgb(target)
    assert (filled[10:20, 5:30] == RED).all()
    np.testing.assert_array_equal(filled[20:], images.read_rgb("a.jpg")[20:])


def test_a_soft_brush_counts_from_half_on(restore: Restore) -> None:
    images.write("a.png", face())
    soft = np.repeat(np.linspace(0, 255, 48).astype(np.uint8)[None], 40, axis=0)
    images.write("mask.png", soft)
    (target,) = restore([Path("a.png")], Path("out"), restorer(PaintsRed()), Path("mask.png")).done
    np.testing.assert_array_equal((images.read_rgb(target) == RED).all(axis=2), soft >= 128)


def test_what_cannot_be_filled_is_named_and_the_rest_is_done(
    restore: Restore, photos: Path
) -> None:
    images.write("masks/a.bmp", hole(40, 50))
    Path("masks/old/b.bmp").unlink()
    outcome = restore([photos], Path("out"), restorer(PaintsRed()), Path("masks"))
    assert [path.as_posix() for path in outcome.done] == ["out/old/c.png"]
    assert outcome.failed == {
        Path("photos/a.jpg"): "masks/a.bmp: this mask has 50×40 pixels, but photos/a.jpg has 48×40",
        Path("photos/old/b.png"): "photos/old/b.png: no mask in masks",
    }
    images.write("masks/old/c.png", hole())
    outcome = restore([photos], Path("out"), restorer(PaintsRed()), Path("masks"))
    assert outcome.failed[Path("photos/old/c.webp")] == (
        "photos/old/c.webp: 2 masks (masks/old/c.bmp, masks/old/c.png) in masks"
    )


def test_a_mask_goes_with_a_model_that_asks_for_one(restore: Restore, photos: Path) -> None:
    with pytest.raises(RecipeError, match=r"PaintsRed asks for a mask .* give it with --mask"):
        restore([photos], Path("out"), restorer(PaintsRed()))
    with pytest.raises(RecipeError, match="Darkens does not ask for a mask: leave --mask out"):
        restore([photos], Path("out"), restorer(Darkens()), Path("masks"))
    assert not Path("out").exists()
    white = restore([photos / "a.jpg"], Path("out"), restorer(NeedsNoMask())).done
    assert [path.name for path in white] == ["a.jpg"]
    assert images.read_rgb(white[0]).min() == 255


def test_masks_that_do_not_fit_the_photographs_are_refused_first(
    restore: Restore, photos: Path
) -> None:
    with pytest.raises(RecipeError, match=r"masks/a\.bmp: one mask for 3 photographs"):
        restore([photos], Path("out"), restorer(PaintsRed()), Path("masks/a.bmp"))
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        restore([photos], Path("out"), restorer(PaintsRed()), Path("nowhere"))
    images.write("photos/a.png", face())
    with pytest.raises(DataError, match=r"a\.jpg and photos/a\.png would both be written a\.png"):
        restore([photos], Path("out"), restorer(PaintsRed()), Path("masks"))
    assert not Path("out").exists()


def test_neither_photograph_nor_mask_is_overwritten(restore: Restore, photos: Path) -> None:
    images.write("masks/old/b.png", hole())
    Path("masks/old/b.bmp").unlink()
    outcome = restore([photos], Path("masks"), restorer(PaintsRed()), Path("masks"))
    assert outcome.failed == {
        Path("photos/old/b.png"): "masks/old/b.png: would be overwritten; choose another -o"
    }
    np.testing.assert_array_equal(images.read_mask("masks/old/b.png"), hole())


def test_gif_and_png_of_one_name_are_refused_without_a_mask_too(restore: Restore) -> None:
    for name in ("photos/a.gif", "photos/a.png"):
        images.write(name, face())
    with pytest.raises(DataError, match=r"a\.gif and photos/a\.png would both be written a\.png"):
        restore([Path("photos")], Path("out"), restorer(Darkens()))


def test_the_command_fills_what_is_masked(
    frx, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder.Restorer, "open", lambda *_, **__: restorer(PaintsRed()))
    words = ("restore", "photos", "-o", "out", "--model", "run")
    code, _, err = frx(*words)
    assert (code, "give it with --mask" in err) == (2, True)
    Path("masks/a.bmp").unlink()
    code, out, err = frx(*words, "--mask", "masks")
    assert code == 3
    assert "restored 2 into out" in out
    assert "photos/a.jpg: no mask in masks" in err
