"""Samples are shared out once, at random, and the same way every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frx.errors import DataError, RecipeError
from frx.splits import read_group_names, read_groups, sample_indices, split_indices


def sizes(splits: dict[str, np.ndarray]) -> dict[str, int]:
    return {name: len(numbers) for name, numbers in splits.items()}


def assert_no_overlap(splits: dict[str, np.ndarray], n: int) -> None:
    joined = np.concatenate(list(splits.values()))
    assert len(np.unique(joined)) == len(joined)
    assert set(joined) <= set(range(n))
    for numbers in splits.values():
        assert numbers.dtype == np.int64
        assert (np.diff(numbers) > 0).all()


@pytest.mark.parametrize(
    ("n", "fractions", "expected"),
    [
        (1024, (0.8, 0.1, 0.1), (819, 102, 103)),
        (100, (0.29, 0.57, 0.14), (29, 57, 14)),
        (10, (1.0, 0.0, 0.0), (10, 0, 0)),
        (3, (0.8, 0.1, 0.1), (2, 0, 1)),
        (0, (0.8, 0.1, 0.1), (0, 0, 0)),
    ],
)
def test_whole_parts_and_the_rest(
    n: int, fractions: tuple[float, float, float], expected: tuple[int, int, int]
) -> None:
    splits = split_indices(n, fractions)
    assert sizes(splits) == dict(zip(("train", "val", "test"), expected, strict=True))
    assert_no_overlap(splits, n)


def test_the_seed_decides() -> None:
    first, again, other = (split_indices(200, seed=seed)["test"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(split_indices(200)["train"], np.arange(160))


def test_the_split_is_the_same_on_every_machine() -> None:
    np.testing.assert_array_equal(split_indices(30)["test"], [1, 8, 13])


def test_groups_stay_together() -> None:
    groups = np.random.default_rng(0).integers(0, 300, 3000)
    splits = split_indices(3000, groups=groups)
    assert_no_overlap(splits, 3000)
    for name, share in {"train": 0.8, "val": 0.1, "test": 0.1}.items():
        assert abs(len(splits[name]) / 3000 - share) < 0.02
        for other in set(splits) - {name}:
            assert not set(groups[splits[name]]) & set(groups[splits[other]])
    assert sum(sizes(splits).values()) == 3000


def test_three_groups_fill_three_splits() -> None:
    groups = ["a"] * 50 + ["b"] * 3 + ["c"]
    for seed in range(10):
        assert min(sizes(split_indices(54, seed=seed, groups=groups)).values()) > 0
    assert sizes(split_indices(54, (0.5, 0.5, 0), groups=groups))["test"] == 0


def test_wrong_shares_are_refused() -> None:
    for wrong in [(0.8, 0.1), (0.8, 0.1, 0.2), (1.2, -0.1, -0.1)]:
        with pytest.raises(RecipeError, match="three shares that add up to 1"):
            split_indices(10, wrong)
    with pytest.raises(RecipeError, match="10 samples but 2 group numbers"):
        split_indices(10, groups=[1, 2])


def test_so_many_of_each() -> None:
    splits = sample_indices(1000, {"train": 100, "val": 20, "mine": 0})
    assert sizes(splits) == {"train": 100, "val": 20, "mine": 0}
    assert_no_overlap(splits, 1000)
    with pytest.raises(DataError, match="1,001 samples are asked for, but there are only 1,000"):
        sample_indices(1000, {"train": 1000, "val": 1})
    with pytest.raises(RecipeError, match="negative"):
        sample_indices(10, {"train": -1})


def test_so_many_of_each_without_sharing_groups() -> None:
    groups = np.arange(1000) // 30
    splits = sample_indices(1000, {"train": 100, "val": 20}, groups=groups)
    assert sizes(splits) == {"train": 100, "val": 20}
    assert not set(groups[splits["train"]]) & set(groups[splits["val"]])
    with pytest.raises(DataError, match="only 0 of 1 samples are left for val"):
        sample_indices(4, {"train": 1, "val": 1}, groups=[7, 7, 7, 7])


def test_groups_from_a_celeba_file(tmp_path: Path) -> None:
    file = tmp_path / "identity.txt"
    file.write_text("000001.jpg 2880\n000002.jpg 2937\n\nmy face.jpg  2880\n")
    names = ["img/my face.jpg", "000002.jpg", "000001.jpg"]
    assert read_group_names(file, names) == ["2880", "2937", "2880"]
    numbers = read_groups(file, names)
    assert numbers.dtype == np.int64
    assert numbers[0] == numbers[2] != numbers[1]


def test_groups_from_a_table(tmp_path: Path) -> None:
    file = tmp_path / "identity.csv"
    file.write_text('\ufeffname,person,age\n"a,b.jpg",Ada,36\nx/c.jpg,Alan,41\n', encoding="utf-8")
    assert read_group_names(file, ["a,b.jpg", "x/c.jpg"]) == ["Ada", "Alan"]


def test_missing_names_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "identity.txt"
    file.write_text("a.jpg 1\n")
    with pytest.raises(
        DataError, match=r"no group for 6 samples: 0\.jpg, 1\.jpg, 2\.jpg, 3\.jpg, 4\.jpg, …$"
    ):
        read_groups(file, ["a.jpg", *(f"{i}.jpg" for i in range(6))])


def test_files_that_say_too_little_or_too_much(tmp_path: Path) -> None:
    file = tmp_path / "identity.txt"
    file.write_text("a.jpg 1\nb.jpg\n")
    with pytest.raises(DataError, match=r"identity\.txt:2: expected a name and a group, got 'b"):
        read_groups(file, ["a.jpg"])
    file.write_text("a.jpg 1\na.jpg 2\n")
    with pytest.raises(DataError, match=r"a\.jpg is in a second group, 2"):
        read_groups(file, ["a.jpg"])
    with pytest.raises(DataError, match=r"gone\.txt cannot be read"):
        read_groups(tmp_path / "gone.txt", ["a.jpg"])
