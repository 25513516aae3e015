"""Pictures that exist clean and damaged."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from frx import images
from frx.datasets.paired import Paired
from frx.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(shade: int, height: int = 8, width: int = 12) -> np.ndarray:
    return np.full((height, width, 3), shade, np.uint8)


def put(root: Path, name: str, pixels: np.ndarray) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    images.write(root / name, pixels)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    root = tmp_path / "pairs"
    hole = np.zeros((8, 12), np.uint8)
    hole[:4, 4:8] = 255
    for shade, name in enumerate(["a/one", "a/two", "b"], 1):
        put(root, f"clean/{name}.png", picture(shade))
        put(root, f"corrupted/{name}.bmp", picture(100 + shade))
        put(root, f"mask/{name}.png", hole)
    put(root, "contact_sheet.png", picture(0))
    return root


def test_partners_share_a_name(pairs: Path) -> None:
    data = Paired(path=str(pairs))
    assert [data.name(i) for i in range(len(data))] == ["a/one.png", "a/two.png", "b.png"]
    for i in range(3):
        sample = data[i]
        np.testing.assert_array_equal(sample["clean"], picture(i + 1))
        np.testing.assert_array_equal(sample["degraded"], picture(i + 101))
        assert sample["mask"].shape == (8, 12)
        assert sample["mask"].sum() == 16 * 255
    assert data.splits() == {}
    assert data.groups() is None
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy[2]["degraded"], data[2]["degraded"])


def test_all_three_get_one_size(pairs: Path) -> None:
    sample = Paired(path=str(pairs), size=4)[0]
    assert {name: p.shape for name, p in sample.items()} == {
        "clean": (4, 4, 3),
        "degraded": (4, 4, 3),
        "mask": (4, 4),
    }
    # Of columns 2 to 9, columns 4 to 7 are destroyed: the middle half of the cropped square.
    np.testing.assert_array_equal(sample["mask"][0], [0, 255, 255, 0])
    assert set(np.unique(Paired(path=str(pairs), size=5)[0]["mask"])) == {0, 255}


def test_masks_may_be_missing(pairs: Path) -> None:
    shutil.rmtree(pairs / "mask")
    assert set(Paired(path=str(pairs))[0]) == {"clean", "degraded"}


def test_splits_are_folders(tmp_path: Path) -> None:
    root = tmp_path / "sets"
    for split, count in {"train": 3, "val": 1, "test": 1, "test_scans": 2}.items():
        for i in range(count):
            put(root, f"{split}/clean/{i}.png", picture(i))
            put(root, f"{split}/corrupted/{i}.png", picture(100 + i))
    data = Paired(path=str(root))
    found = {split: [data.name(i) for i in numbers] for split, numbers in data.splits().items()}
    assert found == {
        "train": ["train/0.png", "train/1.png", "train/2.png"],
        "val": ["val/0.png"],
        "test": ["test/0.png"],
        "test_scans": ["test_scans/0.png", "test_scans/1.png"],
    }


def test_the_first_five_without_partner_are_named(pairs: Path) -> None:
    for i in range(7):
        put(pairs, f"clean/lone{i}.png", picture(0))
    with pytest.raises(
        DataError,
        match=r"pictures without partners .* \(7\): clean/lone0\.png, .*clean/lone4\.png, …$",
    ):
        Paired(path=str(pairs))


def test_every_role_can_lack(pairs: Path) -> None:
    for role in ("clean/b.png", "corrupted/b.bmp", "mask/b.png"):
        kept = (pairs / role).read_bytes()
        (pairs / role).unlink()
        with pytest.raises(
            DataError, match=r"pictures without partners in all of .* \(1\): \w+/b\."
        ):
            Paired(path=str(pairs))
        (pairs / role).write_bytes(kept)
    Paired(path=str(pairs))


def test_namesakes_are_refused(pairs: Path) -> None:
    put(pairs, "clean/b.jpg", picture(1))
    with pytest.raises(DataError, match=r"namesake of another extension \(1\): clean/b\."):
        Paired(path=str(pairs))


def test_missing_folders_are_named(tmp_path: Path, pairs: Path) -> None:
    shutil.rmtree(pairs / "corrupted")
    with pytest.raises(DataError, match=r"pairs/corrupted is missing or has no picture"):
        Paired(path=str(pairs))
    put(tmp_path / "flat", "a.png", picture(0))
    with pytest.raises(DataError, match=r"flat has no folders clean/ and corrupted/"):
        Paired(path=str(tmp_path / "flat"))
    for split in ("train", "val"):
        put(tmp_path / "half", f"{split}/clean/0.png", picture(0))
        put(tmp_path / "half", f"{split}/corrupted/0.png", picture(0))
    put(tmp_path / "half", "train/mask/0.png", np.zeros((8, 12), np.uint8))
    with pytest.raises(DataError, match=r"half/val has no masks, but .*half/train has"):
        Paired(path=str(tmp_path / "half"))


def test_different_sizes_are_named(pairs: Path) -> None:
    for i in range(6):
        put(pairs, f"clean/s{i}.png", picture(0, 8, 12))
        put(pairs, f"corrupted/s{i}.png", picture(0, 8, 11 + i % 2))
        put(pairs, f"mask/s{i}.png", np.zeros((8, 12), np.uint8))
    with pytest.raises(
        DataError, match=r"pairs that differ in size \(3\): s0\.png, s2\.png, s4\.png$"
    ):
        Paired(path=str(pairs))


def test_masks_of_other_values_are_named(pairs: Path) -> None:
    put(pairs, "mask/b.png", np.full((8, 12), 127, np.uint8))
    with pytest.raises(DataError, match=r"masks with values other than 0 and 255 \(1\): b\.png$"):
        Paired(path=str(pairs))


def test_each_read_checks_again(pairs: Path) -> None:
    data = Paired(path=str(pairs))
    put(pairs, "mask/b.png", np.full((8, 12), 127, np.uint8))
    with pytest.raises(DataError, match=r"mask/b\.png is no mask"):
        data[2]
    put(pairs, "mask/b.png", np.zeros((9, 12), np.uint8))
    with pytest.raises(DataError, match=r"clean/b\.png and its partners differ in size"):
        data[2]


def test_pairs_are_checked_once(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Paired(path=str(pairs))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(images, "read_size", never)
    assert len(Paired(path=str(pairs))) == 3


def test_an_unreadable_picture_is_left_to_the_run(pairs: Path) -> None:
    (pairs / "corrupted/b.bmp").write_bytes(b"BM")
    data = Paired(path=str(pairs))
    assert data[0]
    with pytest.raises(DataError, match=r"corrupted/b\.bmp"):
        data[2]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Two pictures, each damaged in two ways."""
    root = tmp_path / "copies"
    for shade, name in enumerate(["a/one", "b"], 1):
        put(root, f"clean/{name}.png", picture(shade))
        for more, suffix in ((100, "noisy"), (200, "very_dark")):
            put(root, f"corrupted/{name}_{suffix}.bmp", picture(shade + more))
    return root


SUFFIXES = ("noisy", "very_dark")


def test_every_copy_is_a_sample_and_its_picture_the_group(copies: Path) -> None:
    data = Paired(path=str(copies), suffixes=SUFFIXES)
    shades = {data.name(i): [p[0, 0, 0] for p in data[i].values()] for i in range(len(data))}
    assert shades == {
        "a/one_noisy.bmp": [1, 101],
        "a/one_very_dark.bmp": [1, 201],
        "b_noisy.bmp": [2, 102],
        "b_very_dark.bmp": [2, 202],
    }
    groups = data.groups()
    assert groups is not None
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_copies_have_masks_and_split_folders_too(copies: Path, tmp_path: Path) -> None:
    hole = np.zeros((8, 12), np.uint8)
    for name in ("a/one", "b"):
        put(copies, f"mask/{name}_noisy.png", hole)
        put(copies, f"mask/{name}_very_dark.png", hole + np.uint8(255))
    for split in ("train", "val"):
        shutil.copytree(copies, tmp_path / "sets" / split)
    data = Paired(path=str(tmp_path / "sets"), suffixes=SUFFIXES)
    assert [bool(data[i]["mask"].any()) for i in range(len(data))] == [False, True] * 4
    assert data.name(0) == "train/a/one_noisy.bmp"
    assert {name: list(found) for name, found in data.splits().items()} == {
        "train": [0, 1, 2, 3],
        "val": [4, 5, 6, 7],
    }
    (tmp_path / "sets/val/mask/b_noisy.png").unlink()
    with pytest.raises(DataError, match=r"\(1\): val/corrupted/b_noisy\.bmp$"):
        Paired(path=str(tmp_path / "sets"), suffixes=SUFFIXES)


def test_the_first_five_that_lack_a_copy_are_named(copies: Path) -> None:
    (copies / "corrupted/b_noisy.bmp").unlink()
    for i in range(6):
        put(copies, f"clean/lone{i}.png", picture(0))
    with pytest.raises(DataError) as caught:
        Paired(path=str(copies), suffixes=SUFFIXES)
    assert str(caught.value).endswith(
        "copies: clean pictures that lack a damaged copy (7): clean/b.png (has no b_noisy), "
        + ", ".join(
            f"clean/lone{i}.png (has no lone{i}_noisy and no lone{i}_very_dark)" for i in range(4)
        )
        + ", …"
    )


def test_a_copy_belongs_to_one_picture(copies: Path) -> None:
    put(copies, "corrupted/b_torn.png", picture(3))
    with pytest.raises(
        DataError,
        match=r"partner .* by the suffixes noisy, very_dark \(1\): corrupted/b_torn\.png$",
    ):
        Paired(path=str(copies), suffixes=SUFFIXES)
    (copies / "corrupted/b_torn.png").unlink()
    put(copies, "clean/b_very.png", picture(3))
    with pytest.raises(DataError, match=r"copies would be another's too \(1\): clean/b_very\.png$"):
        Paired(path=str(copies), suffixes=("dark", *SUFFIXES))


def test_suffixes_that_say_nothing_are_refused(copies: Path) -> None:
    with pytest.raises(ValueError, match="suffixes has 'noisy' twice"):
        Paired(path=str(copies), suffixes=("noisy", "noisy"))
    with pytest.raises(ValueError, match="is empty"):
        Paired(path=str(copies), suffixes=("",))


def test_the_fingerprint_knows_the_suffixes(copies: Path) -> None:
    one = Paired(path=str(copies), suffixes=SUFFIXES)
    other = Paired(path=str(copies), suffixes=SUFFIXES[::-1])
    assert one.fingerprint() != other.fingerprint()
