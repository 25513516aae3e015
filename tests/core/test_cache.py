"""Decoded samples are kept, and come back as they were."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frx import cache
from frx.cache import Cached
from frx.errors import DataError, ResourceError

Picture = NDArray[np.uint8]


class Counting:
    """Samples drawn from their number; remembers which were asked for."""

    def __init__(
        self, count: int = 5, odd: int | None = None, bad: int | None = None, width: int = 6
    ) -> None:
        self.count, self.odd, self.bad, self.width = count, odd, bad, width
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{index}.png"

    def __getitem__(self, index: int) -> dict[str, Picture]:
        self.asked.append(index)
        if index == self.bad:
            raise DataError(f"{index}.png: damaged picture")
        side = 7 if index == self.odd else 6
        rng = np.random.default_rng(index)
        return {
            "clean": rng.integers(0, 256, (side, self.width, 3), np.uint8),
            "mask": np.zeros((side, self.width), np.uint8),
        }

    def splits(self) -> dict[str, NDArray[np.int64]]:
        return {"train": np.arange(3), "val": np.arange(3, 5)}

    def groups(self) -> None:
        return None

    def fingerprint(self) -> str:
        return f"counting {self.count}"


def assert_same(left: dict[str, Picture], right: dict[str, Picture]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == np.uint8
        np.testing.assert_array_equal(left[name], right[name])


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "decoded" if request.param == "disk" else None


def test_the_second_epoch_decodes_nothing(folder: Path | None) -> None:
    data = Counting()
    cached = Cached(data, folder)
    first = [cached[i] for i in range(5)]
    data.asked.clear()
    second = [cached[i] for i in range(5)]
    assert data.asked == []
    for i in range(5):
        assert_same(first[i], Counting()[i])
        assert_same(second[i], Counting()[i])
    assert_same(cached[-1], Counting()[4])
    with pytest.raises(IndexError):
        cached[5]


def test_it_is_the_same_data_set(folder: Path | None) -> None:
    data = Counting()
    cached = Cached(data, folder)
    assert (len(cached), cached.name(3), cached.groups()) == (5, "3.png", None)
    assert cached.fingerprint() == data.fingerprint()
    np.testing.assert_array_equal(cached.splits()["val"], [3, 4])


def test_changing_what_comes_out_changes_nothing_inside(folder: Path | None) -> None:
    cached = Cached(Counting(), folder)
    for _ in range(3):
        sample = cached[1]
        assert_same(sample, Counting()[1])
        sample["clean"][:] = 0


def test_another_shape_passes_through(folder: Path | None) -> None:
    data = Counting(odd=2)
    cached = Cached(data, folder)
    for _ in range(2):
        data.asked.clear()
        assert cached[2]["clean"].shape == (7, 6, 3)
        assert data.asked == [2]


@pytest.mark.parametrize("width", [5, 7, 9])
def test_any_size_is_kept(width: int, folder: Path | None) -> None:
    data = Counting(width=width)
    cached = Cached(data, folder)
    for asked in (list(range(5)), []):
        data.asked.clear()
        for i in range(5):
            assert_same(cached[i], Counting(width=width)[i])
        assert data.asked == asked


def test_black_pictures_are_decoded_once(folder: Path | None) -> None:
    class Black(Counting):
        def __getitem__(self, index: int) -> dict[str, Picture]:
            return {name: picture * 0 for name, picture in super().__getitem__(index).items()}

    data = Black()
    cached = Cached(data, folder)
    for asked in ([0], []):
        data.asked.clear()
        assert not cached[0]["clean"].any()
        assert data.asked == asked


def test_a_bad_sample_stays_bad(folder: Path | None) -> None:
    cached = Cached(Counting(bad=0), folder)  # the shapes come from the next
    for _ in range(2):
        with pytest.raises(DataError, match=r"0\.png"):
            cached[0]
    assert_same(cached[1], Counting()[1])


def test_nothing_readable_is_said_at_once(folder: Path | None) -> None:
    with pytest.raises(DataError, match=r"0\.png"):
        Cached(Counting(count=1, bad=0), folder)
    with pytest.raises(DataError, match="without samples"):
        Cached(Counting(count=0), folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forked_workers_share_it(folder: Path | None) -> None:
    data = Counting()
    cached = Cached(data, folder)
    child = os.fork()
    if not child:
        for i in range(5):
            cached[i]
        os._exit(0)
    os.waitpid(child, 0)
    data.asked.clear()
    assert_same(cached[4], Counting()[4])
    assert data.asked == []


def test_a_file_serves_the_next_run_and_spawned_workers(tmp_path: Path) -> None:
    first = Cached(Counting(), tmp_path)
    for i in range(5):
        first[i]
    for other in (Cached(Counting(), tmp_path), pickle.loads(pickle.dumps(first))):
        data: Any = other.dataset
        data.asked.clear()
        assert_same(other[3], Counting()[3])
        assert data.asked == []
    assert len(list(tmp_path.iterdir())) == 1
    Cached(Counting(count=6), tmp_path)  # other data, other file
    assert len(list(tmp_path.iterdir())) == 2


def test_pickled_without_a_file_it_passes_through() -> None:
    cached = Cached(Counting())
    cached[2]
    copy = pickle.loads(pickle.dumps(cached))
    copy.dataset.asked.clear()
    assert_same(copy[2], Counting()[2])
    assert copy.dataset.asked == [2]


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    cached = Cached(Counting(), tmp_path)
    for i in range(5):
        cached[i]
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    assert len(whole) == cached.size_bytes == 5 * (8 + 6 * 6 * 4)
    for at in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        data = Counting()
        reopened = Cached(data, tmp_path)
        data.asked.clear()
        for i in range(5):
            assert_same(reopened[i], Counting()[i])
        assert len(data.asked) == 1
    file.write_bytes(whole[:100])
    assert_same(Cached(Counting(), tmp_path)[4], Counting()[4])


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(ResourceError, match=r"\.pictures: cannot be written: No space left"):
        Cached(Counting(), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="file"):
        Cached(Counting(), tmp_path / "file")


def test_as_many_as_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "free_on_machine", lambda: 3 * 2 * (8 + 6 * 6 * 4))
    data = Counting()
    cached = Cached(data)
    for _ in range(2):
        data.asked.clear()
        for i in range(5):
            assert_same(cached[i], Counting()[i])
    assert data.asked == [2, 3, 4]
    monkeypatch.setattr(cache, "free_on_machine", lambda: 0)
    assert_same(Cached(Counting())[1], Counting()[1])
