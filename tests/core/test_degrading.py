"""A recipe's damage on disk: copies of every kind, masks of all or none, the same bits."""

from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest

from frx import images
from frx.datasets.paired import Paired
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.degrading import degrade
from frx.errors import DataError, RecipeError
from frx.randomness import generator
from frx.recipe import DATA_KINDS, Recipe, load
from frx.splits import split_indices

RECIPE = """\
name = "old_photos"
seed = 7
[data]
use = "folder"
path = "faces"
size = 24
[[degradations]]
use = "one_of"
names = ["noisy", "color", "occluded"]
of = [
    { use = "gaussian_noise", sigma = [0.1, 0.1] },
    { use = "color_shift" },
    { use = "square_hole", size_px = 6, margin_px = 4 },
]
[model]
use = "unet"
[[stages]]
name = "train"
epochs = 1
losses = [{ use = "l1" }]
"""
HOLE = '{ use = "square_hole", size_px = 6, margin_px = 4 }'
NAMES = ("a", "b", "more/c", "more/d", "e")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    Path("old_photos.toml").write_text(RECIPE)
    faces = SyntheticFaces(size=24, count=len(NAMES))
    for index, name in enumerate(NAMES):
        images.write(f"faces/{name}.png", faces[index]["clean"])


def recipe(*overrides: str) -> Recipe:
    return load(Path("old_photos.toml"), overrides=overrides, kinds=DATA_KINDS)


def written(out: str) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in Path(out).rglob("*")
        if path.is_file()
    }


def test_each_picture_gets_a_copy_of_every_kind_and_paired_keeps_them_in_one_split(frx) -> None:
    code, out, err = frx("degrade", "faces", "-o", "set", "--recipe", "old_photos.toml")
    assert code == 0, err
    assert 'suffixes = ["noisy", "color", "occluded"]' in out
    kinds = ("noisy", "color", "occluded")
    assert set(written("set")) == {
        *(f"clean/{name}.png" for name in NAMES),
        *(
            f"{role}/{name}_{k}.png"
            for role in ("corrupted", "mask")
            for name in NAMES
            for k in kinds
        ),
    }
    data = Paired(path="set", suffixes=kinds)
    samples = {data.name(i): data[i] for i in range(len(data))}
    assert len(samples) == 15
    for name in NAMES:
        noisy, faded, hole = (samples[f"{name}_{kind}.png"] for kind in kinds)
        for sample in (noisy, faded, hole):
            np.testing.assert_array_equal(sample["clean"], images.read_rgb(f"faces/{name}.png"))
        assert not noisy["mask"].any()
        assert not faded["mask"].any()
        assert (hole["mask"] > 0).sum() == 36
        outside = hole["mask"] == 0
        np.testing.assert_array_equal(hole["degraded"][outside], hole["clean"][outside])
        saturation = [
            cv2.cvtColor(faded[role], cv2.COLOR_RGB2HSV)[..., 1].mean()
            for role in ("clean", "degraded")
        ]
        assert 0.25 < saturation[1] / saturation[0] < 0.75
        difference = noisy["degraded"] - noisy["clean"].astype(float)
        assert 15 < difference[4:-4, 4:-4].std() < 26  # 25.5, less what is clipped
    parts = split_indices(len(data), (0.4, 0.4, 0.2), groups=data.groups())
    assert [len(part) for part in parts.values()] == [6, 6, 3]
    sources = [{data.name(i).rpartition("_")[0] for i in part} for part in parts.values()]
    assert [len(found) for found in sources] == [2, 2, 1]
    assert not sources[0] & sources[1]


def test_a_kinds_damage_depends_on_its_names_alone() -> None:
    degrade(Path("faces"), Path("all"), recipe())
    Path("faces/a.png").unlink()  # neither on the other pictures
    of = f'[{HOLE}, {{ use = "gaussian_noise", sigma = [0.1, 0.1] }}]'  # nor on the other kinds
    settings = (f"degradations.one_of.of={of}", 'degradations.one_of.names=["occluded", "noisy"]')
    degrade(Path("faces"), Path("some"), recipe(*settings))
    every, some = written("all"), written("some")
    assert len(some) == 4 * (1 + 2 + 2)
    assert all(every[name] == data for name, data in some.items())
    noise = recipe().degradations[0].build().of[0]
    damaged = noise(
        images.read_rgb("faces/b.png"), generator(7, "degrade", "fixed", "b.png", "noisy")
    )
    np.testing.assert_array_equal(images.read_rgb("all/corrupted/b_noisy.png"), damaged)


def test_several_choices_make_every_combination() -> None:
    spot = (
        '{ use = "one_of", names = ["hole", "fade"], of = [' + HOLE + ', { use = "color_shift" }] }'
    )
    blur = '{ use = "one_of", names = ["small"], of = [{ use = "downsample", factors = [4.0] }] }'
    every = '{ use = "downsample", factors = [1.5] }'
    assert not degrade(
        Path("faces"), Path("set"), recipe(f"degradations=[{spot}, {every}, {blur}]")
    )
    corrupted = {name for name in written("set") if name.startswith("corrupted/")}
    assert corrupted == {f"corrupted/{n}_{k}_small.png" for n in NAMES for k in ("hole", "fade")}
    # The elements without a choice, and later ones, act too: nothing of the fine detail is left.
    data = Paired(path="set", suffixes=("hole_small", "fade_small"))
    for sample in (data[i] for i in range(len(data))):
        detail = [
            cv2.Laplacian(cv2.cvtColor(sample[role], cv2.COLOR_RGB2GRAY), cv2.CV_32F).std()
            for role in ("clean", "degraded")
        ]
        assert detail[1] < 0.8 * detail[0]


def test_masks_are_there_for_all_pictures_or_for_none() -> None:
    # The seed is one at which some pictures, not all, get their hole.
    often = f'degradations=[{{ use = "sometimes", probability = 0.5, of = {HOLE} }}]'
    degrade(Path("faces"), Path("some"), recipe(often))
    data = Paired(path="some")
    samples = [data[i] for i in range(len(data))]
    assert {int((sample["mask"] > 0).sum()) for sample in samples} == {0, 36}
    for sample in samples:
        changed = (sample["clean"] != sample["degraded"]).any(axis=2)
        assert changed.any() == sample["mask"].any()
    degrade(Path("faces"), Path("none"), recipe('degradations=[{ use = "color_shift" }]'))
    assert not Path("none/mask").exists()


def test_names_that_would_meet_are_refused_before_anything_is_written() -> None:
    images.write("faces/a.bmp", images.read_rgb("faces/a.png"))
    with pytest.raises(DataError, match=r"a\.bmp and a\.png would both be written corrupted/a_no"):
        degrade(Path("faces"), Path("set"), recipe())
    Path("faces/a.bmp").unlink()
    images.write("faces/a_very.png", images.read_rgb("faces/a.png"))
    names = recipe('degradations.one_of.names=["noisy", "very_noisy", "occluded"]')
    with pytest.raises(DataError, match=r"a\.png and a_very\.png .* corrupted/a_very_noisy\.png"):
        degrade(Path("faces"), Path("set"), names)
    one = '{ use = "one_of", names = ["x", "x_y"], of = [{ use = "motion_blur" }, ' + HOLE + "] }"
    two = '{ use = "one_of", names = ["y_z", "z"], of = [{ use = "motion_blur" }, ' + HOLE + "] }"
    with pytest.raises(RecipeError, match="two kinds of damage called 'x_y_z'"):
        degrade(Path("faces"), Path("set"), recipe(f"degradations=[{one}, {two}]"))
    assert not Path("set").exists()


def test_what_a_degradation_objects_to_is_named_and_the_rest_is_done() -> None:
    @attrs.frozen
    class Picky:
        def build(self):
            return self

        def __call__(self, image, rng):
            if image.mean() < 2:
                raise ValueError("too dark")
            return image.copy()

    images.write("faces/night.png", np.zeros((24, 24, 3), np.uint8))
    chosen = attrs.evolve(recipe(), degradations=[Picky()])
    failed = degrade(Path("faces"), Path("set"), chosen)
    assert failed == {"night.png": "night.png: too dark"}
    assert len(Paired(path="set")) == 5
