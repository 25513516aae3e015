"""One folder of pictures becomes folders train, val and test."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from frx import images
from frx import prepare as module
from frx.datasets.folder import Folder
from frx.errors import DataError, RecipeError, ResourceError
from frx.prepare import prepare


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for i in range(20):
        folder = root / ("a" if i % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        images.write(folder / f"{i:02}.png", np.full((4, 4, 3), i, np.uint8))
    return root


def table(out: Path) -> list[list[str]]:
    with open(out / "split.csv", newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("link", [True, False])
def test_every_picture_goes_to_one_split(source: Path, tmp_path: Path, link: bool) -> None:
    out = tmp_path / "new" / "out"
    assert prepare(source, out, link=link) == {"train": 16, "val": 2, "test": 2}

    header, *rows = table(out)
    assert header == ["name", "split", "group"]
    assert [name for name, *_ in rows] == [*Folder(path=str(source))._index]
    for name, split, group in rows:
        placed = out / split / name
        assert placed.read_bytes() == (source / name).read_bytes()
        assert placed.samefile(source / name) == link
        assert group == ""
    splits = Folder(path=str(out)).splits()
    assert {name: len(found) for name, found in splits.items()} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    assert len(Folder(path=str(out))) == 20
    assert os.listdir(tmp_path / "new") == ["out"]


def test_the_same_seed_shares_out_the_same(source: Path, tmp_path: Path) -> None:
    for name, seed in {"one": 1, "again": 1, "two": 2}.items():
        prepare(source, tmp_path / name, seed=seed)
    assert table(tmp_path / "one") == table(tmp_path / "again") != table(tmp_path / "two")


def test_counts(source: Path, tmp_path: Path) -> None:
    counts = {"train": 5, "val": 3}
    assert prepare(source, tmp_path / "out", counts=counts) == counts
    rows = table(tmp_path / "out")[1:]
    assert len({name for name, *_ in rows}) == 8
    with pytest.raises(DataError, match="21 samples are asked for, but there are only 20"):
        prepare(source, tmp_path / "more", counts={"train": 21})
    assert not (tmp_path / "more").exists()
    for wrong in ("../train", "", ".train"):
        with pytest.raises(RecipeError, match="cannot be the name of a split"):
            prepare(source, tmp_path / "more", counts={wrong: 2})


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_a_validation_split_is_one_that_data_sets_find(
    name: str, source: Path, tmp_path: Path
) -> None:
    prepare(source, tmp_path / "out", counts={"train": 5, name: 3})
    found = Folder(path=str(tmp_path / "out")).splits()
    assert {split: len(numbers) for split, numbers in found.items()} == {"train": 5, "val": 3}
    with pytest.raises(RecipeError, match=f"val, {name}: two of these are the same split"):
        prepare(source, tmp_path / "more", counts={"val": 1, name: 3})


def test_groups_stay_together(source: Path, tmp_path: Path) -> None:
    lines = [f"{i:02}.png person{i // 4}" for i in range(20)]
    (tmp_path / "groups.txt").write_text("\n".join(lines))
    prepare(source, tmp_path / "out", groups_file=tmp_path / "groups.txt")
    split_of: dict[str, set[str]] = {}
    for name, split, group in table(tmp_path / "out")[1:]:
        assert group == f"person{int(Path(name).stem) // 4}"
        split_of.setdefault(group, set()).add(split)
    assert len(split_of) == 5
    assert all(len(splits) == 1 for splits in split_of.values())


def test_without_links_it_copies(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", never)
    prepare(source, tmp_path / "symbolic")
    name, split, _ = table(tmp_path / "symbolic")[1]
    assert (tmp_path / "symbolic" / split / name).is_symlink()
    assert len(Folder(path=str(tmp_path / "symbolic"), size=4)[0]) == 1
    monkeypatch.setattr(os, "symlink", never)
    prepare(source, tmp_path / "copied")
    placed = tmp_path / "copied" / split / name
    assert not placed.is_symlink()
    assert placed.read_bytes() == (source / name).read_bytes()


def test_nothing_is_overwritten(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="out is not empty; empty it or choose another folder"):
        prepare(source, out)
    assert os.listdir(out) == ["mine.txt"]
    with pytest.raises(DataError, match=r"mine\.txt is a file"):
        prepare(source, out / "mine.txt")
    with pytest.raises(DataError, match=r"lies in .*source; choose a folder outside"):
        prepare(source, source / "out")
    (out / "mine.txt").unlink()
    prepare(source, out)  # empty now


def test_an_interruption_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def stopping(work: list[tuple[int, str]]) -> Iterable[tuple[int, str]]:
        yield from work[:7]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out", progress=stopping)
    assert sorted(os.listdir(tmp_path)) == ["cache", "source"]


def test_failures_are_sentences(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        prepare(source, tmp_path / "file" / "out")
    (source / "a" / "gone.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"a/gone\.png is gone, or a link to nowhere"):
        prepare(source, tmp_path / "out")
    (source / "a" / "gone.png").unlink()

    def clash(*_: object) -> None:
        raise FileExistsError

    monkeypatch.setattr(module, "_place", clash)
    with pytest.raises(DataError, match="the same name as another picture's"):
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
