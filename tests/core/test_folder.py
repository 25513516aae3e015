"""A folder of pictures as a data set, and its index in the cache."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from frx import images
from frx.datasets import folder_index
from frx.datasets.folder import Folder
from frx.errors import DataError

SHADE = {"a.png": 10, "b/c.JPG": 20, "b/é 中\n.webp": 30}
HOUR_NS = 3_600 * 10**9


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    for name, shade in SHADE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(root / name, np.full((20, 30, 3), shade, np.uint8), quality=100)
    for name in ("notes.txt", ".hidden.png", ".git/x.png", "b/._c.JPG"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    age(root)
    return root


def age(root: Path) -> None:
    """Make a tree an hour old: what has just changed is not trusted yet."""
    for folder in (root, *root.rglob("*/")):
        status = folder.stat()
        os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns - HOUR_NS))


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were walked, in order."""
    walked: list[Path] = []
    real = folder_index._packed

    def counting(folder: Path, *rest: object) -> object:
        walked.append(folder)
        return real(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_index, "_packed", counting)
    return walked


def test_all_pictures_below_and_nothing_else(faces: Path) -> None:
    data = Folder(path=str(faces), size="own")
    assert [data.name(i) for i in range(len(data))] == sorted(SHADE)
    for i in range(len(data)):
        picture = data[i]["clean"]
        assert picture.shape == (20, 30, 3)
        assert abs(int(picture[5, 5, 0]) - SHADE[data.name(i)]) <= 2
    assert data.groups() is None
    assert data.splits() == {}


def test_crop_or_squeeze_to_the_size(tmp_path: Path) -> None:
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200
    (tmp_path / "f").mkdir()
    images.write(tmp_path / "f" / "wide.png", wide)
    cropped = Folder(path=str(tmp_path / "f"), size=8)[0]["clean"]
    np.testing.assert_array_equal(cropped, np.full((8, 8, 3), 200))
    squeezed = Folder(path=str(tmp_path / "f"), size=8, crop="none")[0]["clean"]
    np.testing.assert_array_equal(squeezed[0, :, 0], [0, 0, 200, 200, 200, 200, 0, 0])
    assert cropped.flags.owndata
    assert Folder(path=str(tmp_path / "f"))[0]["clean"].shape == (128, 128, 3)


def test_reduced_decoding_is_close_to_the_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "f").mkdir()
    for name, height, width in (("square", 128, 128), ("wide", 150, 200), ("small", 40, 40)):
        smooth = images.resize(rng.integers(60, 190, (5, 5, 3), np.uint8), height, width)
        images.write(tmp_path / "f" / f"{name}.jpg", smooth)
    whole = Folder(path=str(tmp_path / "f"), size=32)
    reduced = Folder(path=str(tmp_path / "f"), size=32, decoding="reduced")
    for i, differs in enumerate((False, True, True)):  # by name: the small one comes first
        one, other = (data[i]["clean"].astype(int) for data in (whole, reduced))
        assert other.shape == (32, 32, 3)
        assert (one != other).any() == differs
        assert np.abs(one - other).max() <= 6
    own = Folder(path=str(tmp_path / "f"), size="own", decoding="reduced")
    assert [own[i]["clean"].shape[:2] for i in range(3)] == [(40, 40), (128, 128), (150, 200)]


def test_splits_are_folders(tmp_path: Path) -> None:
    root = tmp_path / "f"
    for name in ("train/b", "train/a/c", "val/d", "test/e", "test_blur/f", "test_blur-2/g", "x/h"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(root / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    images.write(root / "test_card.png", np.zeros((4, 4, 3), np.uint8))
    data = Folder(path=str(root), size=4)
    found = {split: [data.name(i) for i in numbers] for split, numbers in data.splits().items()}
    assert found == {
        "train": ["train/a/c.png", "train/b.png"],
        "val": ["val/d.png"],
        "test": ["test/e.png"],
        "test_blur": ["test_blur/f.png"],
        "test_blur-2": ["test_blur-2/g.png"],
    }
    assert all(numbers.dtype == np.int64 for numbers in data.splits().values())


def test_links_are_followed_once(tmp_path: Path) -> None:
    root = tmp_path / "f"
    (root / "real").mkdir(parents=True)
    images.write(root / "real" / "a.png", np.zeros((4, 4, 3), np.uint8))
    (root / "aaa").symlink_to(root / "real")
    (root / "real" / "up").symlink_to(root)
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "gone.png").symlink_to(root / "nowhere")
    (root / "folder.png").mkdir()
    data = Folder(path=str(root), size=4)
    # Broken links are no pictures, but nothing that looks like one disappears unsaid.
    assert [data.name(i) for i in range(len(data))] == ["gone.png", "loop.png", "real/a.png"]
    with pytest.raises(DataError, match=r"gone\.png is a link to a missing file"):
        data[0]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for i in range(3):
        (tmp_path / "f" / f"{i}.txt").touch()
    with pytest.raises(DataError, match=r"no picture in .*f: none of its 3 files ends in \.bmp"):
        Folder(path=str(tmp_path / "f"))
    with pytest.raises(DataError, match=r"the folder .*gone does not exist"):
        Folder(path=str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"the folder .*0\.txt is not a folder"):
        Folder(path=str(tmp_path / "f" / "0.txt"))
    with pytest.raises(ValueError, match="'png' must begin with a dot"):
        Folder(path=str(tmp_path / "f"), extensions=("png",))


def test_a_damaged_picture_is_named(faces: Path) -> None:
    (faces / "a.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"faces/a\.png is no picture"):
        Folder(path=str(faces))[0]


def test_the_second_start_does_not_walk(faces: Path, walks: list[Path]) -> None:
    first = Folder(path=str(faces))
    second = Folder(path=str(faces))
    assert len(walks) == 1
    assert first.fingerprint() == second.fingerprint()
    assert [*first._index] == [*second._index]
    assert len(Folder(path=str(faces), extensions=(".png",))) == 1
    assert len(walks) == 2


def test_any_changed_folder_is_walked_again(faces: Path, walks: list[Path], cache: Path) -> None:
    before = Folder(path=str(faces))
    images.write(faces / "b" / "new.png", np.zeros((4, 4, 3), np.uint8))
    after = Folder(path=str(faces))
    assert len(walks) == 2
    assert len(after) == len(before) + 1
    assert after.fingerprint() != before.fingerprint()
    (faces / "b" / "new.png").unlink()
    assert Folder(path=str(faces)).fingerprint() == before.fingerprint()
    assert len(list(cache.rglob("*.names"))) == 1  # outdated indexes do not pile up


def test_what_has_just_changed_is_not_trusted(faces: Path, walks: list[Path]) -> None:
    # A file added in the same tick of the file system's clock would not move the folder's time.
    os.utime(faces / "b")
    Folder(path=str(faces))
    Folder(path=str(faces))
    assert len(walks) == 2


def test_the_fingerprint_knows_sizes_and_options(faces: Path, cache: Path) -> None:
    before = Folder(path=str(faces)).fingerprint()
    assert Folder(path=str(faces), size=64).fingerprint() != before
    assert Folder(path=str(faces), crop="none").fingerprint() != before
    assert Folder(path=str(faces), decoding="reduced").fingerprint() != before
    with open(faces / "a.png", "ab") as file:
        file.write(b"more")
    os.utime(faces / "b")
    assert Folder(path=str(faces)).fingerprint() != before


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone", "meta"])
def test_a_damaged_index_is_made_anew(
    damage: str, faces: Path, cache: Path, walks: list[Path]
) -> None:
    names = [*Folder(path=str(faces))._index]
    (stored,) = cache.rglob("*.names")
    (meta,) = cache.rglob("*.json")
    content = bytearray(stored.read_bytes())
    match damage:
        case "cut":
            stored.write_bytes(content[:-1])
        case "flip":
            content[-1] ^= 1
            stored.write_bytes(content)
        case "empty":
            stored.write_bytes(b"")
        case "gone":
            stored.unlink()
        case "meta":
            meta.write_text('{"changed_ns": 3')
    assert [*Folder(path=str(faces))._index] == names
    assert len(walks) == 2


def test_an_unwritable_cache_costs_only_time(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"the index of .*faces cannot be kept.*file"):
        data = Folder(path=str(faces))
    copy = pickle.loads(pickle.dumps(data))
    assert [*copy._index] == [*data._index] == sorted(SHADE)


def test_pickled_it_is_a_path(tmp_path: Path, walks: list[Path]) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for i in range(300):
        (root / f"{i:03}.png").touch()
    images.write(root / "000.png", np.full((4, 4, 3), 9, np.uint8))
    data = Folder(path=str(root), size=4)
    assert data.name(17) == "017.png"
    frozen = pickle.dumps(data)
    assert len(frozen) < 2_000
    copy = pickle.loads(frozen)
    np.testing.assert_array_equal(copy[0]["clean"], data[0]["clean"])
    assert copy.name(299) == "299.png"
    assert len(walks) == 1
    assert copy == data


def test_a_worker_survives_the_loss_of_the_index(
    faces: Path, cache: Path, walks: list[Path]
) -> None:
    frozen = pickle.dumps(Folder(path=str(faces)))
    for file in cache.rglob("*.names"):
        file.unlink()
    assert pickle.loads(frozen).name(0) == "a.png"
    (faces / "b" / "c.JPG").unlink()
    with pytest.raises(DataError, match="changed while it was in use"):
        pickle.loads(frozen).name(0)


def test_numbers_out_of_range(faces: Path) -> None:
    data = Folder(path=str(faces))
    assert data.name(-1) == data.name(2)
    with pytest.raises(IndexError):
        data[3]


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    root = tmp_path / "f"
    root.mkdir()
    picture = np.zeros((4, 4, 3), np.uint8)
    images.write(root / "plain.png", picture)
    try:
        os.rename(root / "plain.png", os.fsencode(root) + b"/\xff\xfe.png")
    except OSError:
        pytest.skip("this file system takes text only")
    data = Folder(path=str(root), size=4)
    np.testing.assert_array_equal(data[0]["clean"], picture)
    (root / data.name(0)).write_bytes(b"x")
    with pytest.raises(DataError, match=r"\\udcff\\udcfe\.png"):
        data[0]
