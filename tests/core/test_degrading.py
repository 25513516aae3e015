"""A recipe's damage on disk: copies of every kind, masks of all or none, the same bits."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest

from frx import images
from frx.cores import cores
from frx.data import Samples, split
from frx.datasets.folder import Folder
from frx.datasets.paired import Paired
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.degrading import degrade
from frx.errors import BusyError, DataError, RecipeError, ResourceError
from frx.locking import locked
from frx.randomness import generator
from frx.recipe import DATA_KINDS, Recipe, load
from frx.splits import split_indices
from frx.triples import Triples

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
# The seed of the recipe is one at which some pictures, not all, get their hole.
OFTEN = f'degradations=[{{ use = "sometimes", probability = 0.5, of = {HOLE} }}]'
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
    """Every file of a set by its path there, hidden ones too; not the note and the lock."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in Path(out).rglob("*")
        if path.is_file() and path.name not in ("degraded.json", ".degrade.lock")
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
        assert 15 < difference[4:-4, 4:-4].std() < 28  # about 25.5, less what is clipped
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
    blur = (
        '{ use = "one_of", names = ["small"], of = [{ use = "downsample", scale = [0.25, 0.25] }] }'
    )
    every = '{ use = "downsample", scale = [0.67, 0.67] }'
    made = degrade(Path("faces"), Path("set"), recipe(f"degradations=[{spot}, {every}, {blur}]"))
    assert (made.kinds, made.failed) == (("hole_small", "fade_small"), {})
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
    degrade(Path("faces"), Path("some"), recipe(OFTEN))
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
            if image.mean() > 253:
                return image[:0]
            return image.copy()

    images.write("faces/night.png", np.zeros((24, 24, 3), np.uint8))
    images.write("faces/snow.png", np.full((24, 24, 3), 255, np.uint8))
    chosen = attrs.evolve(recipe(), degradations=[Picky()])
    made = degrade(Path("faces"), Path("set"), chosen)
    assert made.failed == {
        "night.png": "night.png: too dark",
        "snow.png": "snow.png: the degradation Picky gives uint8 [0, 24, 3] for a picture uint8 "
        "[24, 24, 3]; that shape and type is wanted, alone or with a mask uint8 [24, 24]",
    }
    assert len(Paired(path="set")) == 5


# Stopped, killed, and gone on with ----------------------------------------------------------------


def many_faces(count: int) -> None:
    """More pictures, so that there is time to kill who damages them."""
    for index in range(count):
        os.link("faces/a.png", f"faces/{index:04}.png")


def kill_after(number: int, pictures: int) -> subprocess.CompletedProcess[str]:
    """Send a signal to a process that degrades faces to broken, once so many more are there."""
    words = ["degrade", "faces", "-o", "broken", "--recipe", "old_photos.toml"]
    options = ["--set", OFTEN, "--set", "data.size=200"]
    command = [sys.executable, "-m", "frx", *words, *options]
    wanted = len(list(Path("broken/clean").rglob("*.png"))) + pictures
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and number:
            if len(list(Path("broken/clean").rglob("*.png"))) >= wanted:
                process.send_signal(number)
                break
            time.sleep(0.002)
        out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_killed_and_interrupted_the_bytes_are_the_same() -> None:
    """Real processes: SIGKILL twice, Ctrl-C once, then to the end."""
    many_faces(200)
    degrade(Path("faces"), Path("whole"), recipe(OFTEN, "data.size=200"))
    for _ in range(2):
        assert kill_after(signal.SIGKILL, 30).returncode == -signal.SIGKILL
    there = len(list(Path("broken/clean").rglob("*.png")))
    assert 60 <= there < 205
    stopped = kill_after(signal.SIGINT, 20)
    assert stopped.returncode == 130
    # Of what each worker was at when the process was killed the clean picture may be there alone.
    found = re.search(r"broken: (\d+) of 205 pictures are there already", stopped.stderr)
    assert found is not None
    assert there - cores() <= int(found[1]) <= there
    assert "stopped; what is written stays in broken" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    last = kill_after(0, 0)
    assert (last.returncode, last.stdout) == (0, "written to broken\n")
    assert written("broken") == written("whole")
    assert Path("broken/degraded.json").read_bytes() == Path("whole/degraded.json").read_bytes()
    assert len(Paired(path="broken")) == 205


def test_a_finished_set_says_so_and_is_left_alone(frx) -> None:
    words = ("degrade", "faces", "-o", "set", "--recipe", "old_photos.toml")
    assert frx(*words)[0] == 0
    times = {path: path.stat().st_mtime_ns for path in Path("set").rglob("*.*") if path.is_file()}
    code, out, err = frx(*words)
    assert (code, err) == (0, "")
    assert "set is finished: all 5 pictures are there" in out
    assert 'suffixes = ["noisy", "color", "occluded"]' in out
    assert all(path.stat().st_mtime_ns == then for path, then in times.items())


def test_what_is_deleted_from_a_finished_set_is_made_again() -> None:
    degrade(Path("faces"), Path("set"), recipe())
    whole = written("set")
    for lost in ("mask/a_occluded", "mask/b_noisy", "corrupted/more/c_color", "clean/e"):
        Path(f"set/{lost}.png").unlink()
    assert degrade(Path("faces"), Path("set"), recipe()).made == 4
    assert written("set") == whole


def test_a_break_between_the_empty_masks_leaves_none_out(monkeypatch: pytest.MonkeyPatch) -> None:
    degrade(Path("faces"), Path("whole"), recipe())
    empty = Triples.write_empty_mask
    calls = []

    def failing(triples: Triples, copy: tuple[int, str]) -> None:
        calls.append(copy)
        if len(calls) == 4:
            raise ResourceError("the disk is full")
        empty(triples, copy)

    with monkeypatch.context() as patch:
        patch.setattr(Triples, "write_empty_mask", failing)
        with pytest.raises(ResourceError, match="full"):
            degrade(Path("faces"), Path("set"), recipe())
    assert len(list(Path("set/mask").rglob("*.png"))) < 15
    assert degrade(Path("faces"), Path("set"), recipe()).made == 0
    assert written("set") == written("whole")


def test_a_full_disk_ends_it_at_once_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    degrade(Path("faces"), Path("whole"), recipe(OFTEN))
    write = images.write

    def full(path: Path, *arguments: object) -> None:
        if path.match("clean/more/*.png"):
            raise ResourceError(f"{path}: cannot be written: no space left")
        write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(images, "write", full)
        with pytest.raises(ResourceError, match=r"clean/more/c\.png: cannot be written"):
            degrade(Path("faces"), Path("set"), recipe(OFTEN))
    assert degrade(Path("faces"), Path("set"), recipe(OFTEN)).made >= 2
    assert written("set") == written("whole")


def more_noise() -> Recipe:
    of = f'[{{ use = "gaussian_noise", sigma = [0.2, 0.2] }}, {{ use = "color_shift" }}, {HOLE}]'
    return recipe(f"degradations.one_of.of={of}")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: recipe("seed=8"), "seed = 7, which is 8 now"),
        (lambda: recipe("data.size=32"), "size = 24, which is 32 now"),
        (lambda: recipe("data.crop=none"), 'crop = "center", which is "none" now'),
        (
            lambda: recipe("data.decoding=reduced"),
            'decoding = "full", which is "reduced" now',
        ),
        (
            more_noise,
            "degradations.one_of.of.gaussian_noise.sigma = [0.1, 0.1], which is [0.2, 0.2] now",
        ),
        (lambda: recipe(f"degradations=[{HOLE}]"), "degradations.one_of = one_of, which is square"),
        (
            lambda: recipe("degradations=[{ use = 'color_shift' }, { use = 'motion_blur' }]"),
            "degradations = [one_of], which is [color_shift, motion_blur] now",
        ),
    ],
)
def test_another_recipe_is_refused_and_says_what_differs(
    other: Callable[[], Recipe], said: str
) -> None:
    degrade(Path("faces"), Path("set"), recipe())
    before = written("set")
    with pytest.raises(DataError) as refused:
        degrade(Path("faces"), Path("set"), other())
    assert f"set was begun with {said}" in str(refused.value)
    assert str(refused.value).endswith("; choose another folder with -o")
    assert written("set") == before


def test_other_pictures_and_another_dealing_are_refused() -> None:
    degrade(Path("faces"), Path("set"), recipe())
    with pytest.raises(DataError, match="set was begun with its pictures dealt out to splits oth"):
        degrade(Path("faces"), Path("set"), recipe(), by_splits=True)
    Path("faces").rename("renamed")
    assert degrade(Path("renamed"), Path("set"), recipe()).made == 0  # they are still the same
    images.write("renamed/a.png", np.zeros((24, 24, 3), np.uint8))
    with pytest.raises(DataError, match="set was begun with other pictures than renamed has now"):
        degrade(Path("renamed"), Path("set"), recipe())


def test_what_could_not_be_read_may_be_mended_or_go(frx) -> None:
    good = Path("faces/b.png").read_bytes()
    degrade(Path("faces"), Path("whole"), recipe())
    Path("faces/b.png").write_bytes(good[:-40])
    Path("faces/worse.png").write_text("nothing")
    words = ("degrade", "faces", "-o", "set", "--recipe", "old_photos.toml")
    for _ in range(2):
        code, out, err = frx(*words)
        assert (code, "written to set" in out) == (3, True)
        assert "2 could not be damaged" in err
        assert "b.png: damaged picture" in err
        assert len(Paired(path="set", suffixes=("noisy", "color", "occluded"))) == 12
    Path("faces/b.png").write_bytes(good)
    Path("faces/worse.png").unlink()
    assert frx(*words)[0] == 0
    assert written("set") == written("whole")
    assert Path("set/degraded.json").read_bytes() == Path("whole/degraded.json").read_bytes()


def test_pictures_that_nothing_is_known_of_are_not_mixed_with_others() -> None:
    images.write("set/val/clean/mine.png", images.read_rgb("faces/a.png"))
    with pytest.raises(DataError, match=r"set/val/clean has files already, and no degraded\.json"):
        degrade(Path("faces"), Path("set"), recipe())
    assert set(written("set")) == {"val/clean/mine.png"}
    with pytest.raises(DataError, match="faces/set lies in faces; choose a folder outside it"):
        degrade(Path("faces"), Path("faces/set"), recipe())
    Path("notes").mkdir()
    Path("notes/degraded.json").write_text("[]")
    with pytest.raises(DataError, match=r"notes/degraded\.json is damaged"):
        degrade(Path("faces"), Path("notes"), recipe())


def test_the_second_process_in_one_folder_is_told_of_the_first() -> None:
    with (
        locked(Path("set"), ".degrade.lock"),
        pytest.raises(BusyError, match=f"set: in use by process {os.getpid()} on"),
    ):
        degrade(Path("faces"), Path("set"), recipe())
    assert degrade(Path("faces"), Path("set"), recipe()).made == 5


# Splits -------------------------------------------------------------------------------------------


def test_split_folders_stay_split_folders_and_paired_reads_them(frx) -> None:
    Path("faces").rename("unsplit")
    for name, place in (("a", "train"), ("b", "val"), ("e", "test_old"), ("more/c", "train/more")):
        Path(f"faces/{place}").mkdir(parents=True, exist_ok=True)
        Path(f"unsplit/{name}.png").rename(f"faces/{place}/{Path(name).name}.png")
    words = ("degrade", "faces", "-o", "set", "--recipe", "old_photos.toml", "--set", OFTEN)
    code, out, err = frx(*words, "--splits")
    assert (code, out) == (0, "written to set: test_old 1, train 2, val 1\n"), err
    assert set(written("set")) == {
        f"{place}/{role}/{name}.png"
        for place, name in (("train", "a"), ("train", "more/c"), ("val", "b"), ("test_old", "e"))
        for role in ("clean", "corrupted", "mask")
    }
    data = Paired(path="set")
    assert {name: [data.name(i) for i in part] for name, part in data.splits().items()} == {
        "train": ["train/a.png", "train/more/c.png"],
        "val": ["val/b.png"],
        "test_old": ["test_old/e.png"],
    }
    # A run's own names, so that the damage is that of its validation.
    same_as_validation(data, "faces", OFTEN)
    code, out, _ = frx(*words)
    assert (code, out) == (0, "set is finished: all 4 pictures are there\n")


def same_as_validation(data: Paired, faces: str, *overrides: str) -> None:
    """Each sample of `data` is what a run on `faces` validates on, by its name there."""
    chosen = recipe(f"data.path={faces}", *overrides)
    folder = Folder(path=faces, size=24)
    degradations = [use.build() for use in chosen.degradations]
    samples = Samples(split(chosen.data, folder)["train"], chosen.seed, degradations)
    numbers = {folder.name(i): i for i in range(len(folder))}
    for index in range(len(data)):
        name = data.name(index)
        number = numbers.get(name, numbers.get(name.partition("/")[2]))
        expected, found = samples.make(number), data[index]
        assert set(found) == set(expected) == {"clean", "degraded", "mask"}
        for role, picture in expected.items():
            np.testing.assert_array_equal(found[role], picture)


def test_a_flat_folder_is_dealt_out_as_a_run_would(frx) -> None:
    many_faces(5)
    shares = "data.split=[0.7,0.3,0]"
    words = ("--recipe", "old_photos.toml", "--set", OFTEN, "--set", shares, "--splits")
    code, out, err = frx("degrade", "faces", "-o", "set", *words)
    assert (code, out) == (0, "written to set: train 7, val 3\n"), err
    assert {path.name for path in Path("set").iterdir() if path.is_dir()} == {"train", "val"}
    data = Paired(path="set")
    found = {n: {data.name(i) for i in part} for n, part in data.splits().items()}
    folder = Folder(path="faces", size=24)
    dealt = split(recipe(shares).data, folder)
    assert found == {n: {f"{n}/{folder.name(i)}" for i in s.indices} for n, s in dealt.items()}
    assert sum(bool(data[i]["mask"].any()) for i in range(10)) in range(1, 10)
    same_as_validation(data, "faces", OFTEN)
    code, _, err = frx("degrade", "faces", "-o", "set", *words, "--set", "data.split_seed=1")
    assert code == 3
    assert "set was begun with its pictures dealt out to splits otherwise" in err


def test_nobody_is_in_two_splits() -> None:
    many_faces(15)
    names = [path.relative_to("faces").as_posix() for path in Path("faces").rglob("*.png")]
    people = {name: str(number % 4) for number, name in enumerate(sorted(names))}
    Path("people.txt").write_text("".join(f"{name} {who}\n" for name, who in people.items()))
    settings = ("data.groups_file=people.txt", "data.split=[0.5,0.25,0.25]")
    made = degrade(Path("faces"), Path("set"), recipe(*settings), by_splits=True)
    assert sum(made.splits.values()) == 20
    data = Paired(path="set", suffixes=("noisy", "color", "occluded"))
    parts = [
        {people[data.name(i).partition("/")[2].rpartition("_")[0] + ".png"] for i in part}
        for part in data.splits().values()
    ]
    assert sorted(len(part) for part in parts) == [1, 1, 2]
    assert set.union(*parts) == {"0", "1", "2", "3"}
