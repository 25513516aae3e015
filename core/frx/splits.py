"""Which samples are for training, which for validation, which for the final test."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frx.errors import DataError, RecipeError
from frx.images import shown

NAMES = ("train", "val", "test")
OTHER_NAMES = {"valid": "val", "validation": "val"}
Indices = dict[str, NDArray[np.int64]]


def split_indices(
    n: int,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 42,
    groups: ArrayLike | None = None,
) -> Indices:
    """Share out `n` samples at random: the whole parts of train and val, the rest to test.

    The numbers of each split are sorted. With `groups` (a number a sample) no group is in two
    splits; their sizes are then as near as the groups allow.

    Raises:
        RecipeError: the fractions are not three shares of 1, or the groups are not `n`.
    """
    shares = tuple(fractions)
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise RecipeError(
            f"the split needs three shares that add up to 1 (train, val, test), got {list(shares)}"
        )
    rng = np.random.default_rng(seed)
    if groups is None:
        # 0.29 × 100 is a little less than 29 in floating point.
        first, second = (int(share * n + 1e-9) for share in shares[:2])
        return _sorted(np.split(rng.permutation(n), [first, first + second]), NAMES)

    parts: list[list[NDArray[np.int64]]] = [[], [], []]
    filled = np.zeros(3)
    targets = np.array(shares) * n
    for members in _shuffled_groups(n, groups, rng):
        # The relatively emptiest first: with three groups or more, no split stays empty.
        with np.errstate(divide="ignore", invalid="ignore"):
            fullness = np.where(targets > 0, filled / targets, np.inf)
        emptiest = int(fullness.argmin())
        parts[emptiest].append(members)
        filled[emptiest] += len(members)
    return _sorted([np.concatenate([np.empty(0, np.int64), *part]) for part in parts], NAMES)


def sample_indices(
    n: int, counts: Mapping[str, int], seed: int = 42, groups: ArrayLike | None = None
) -> Indices:
    """Draw so many samples for each split, none twice.

    With `groups` no group is in two splits: what is left over of a split's last group is not used.

    Raises:
        RecipeError: a count is negative, or the groups are not `n`.
        DataError: there are fewer samples than asked for.
    """
    wanted = sum(counts.values())
    if any(count < 0 for count in counts.values()):
        raise RecipeError(f"a number of samples cannot be negative: {dict(counts)}")
    if wanted > n:
        raise DataError(f"{wanted:,} samples are asked for, but there are only {n:,}")
    rng = np.random.default_rng(seed)
    if groups is None:
        ends = np.cumsum(list(counts.values()), dtype=np.int64)
        return _sorted(np.split(rng.permutation(n), ends)[:-1], counts)

    waiting = iter(_shuffled_groups(n, groups, rng))
    found: Indices = {}
    for split, count in counts.items():
        members = np.empty(0, np.int64)
        while len(members) < count:
            more = next(waiting, None)
            if more is None:
                raise DataError(
                    f"only {len(members):,} of {count:,} samples are left for {split}, as no group "
                    "may be in two splits; ask for fewer"
                )
            members = np.concatenate([members, more])
        found[split] = np.sort(members[:count])
    return found


def read_groups(file: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """Read each sample's group number from lines `NAME GROUP` (as CelebA has) or a csv file.

    A name there is a sample's path below its folder, or the file name alone.

    Raises:
        DataError: the file cannot be read, or lacks samples; names the first five.
    """
    _, numbers = np.unique(np.array(read_group_names(file, names)), return_inverse=True)
    return numbers.astype(np.int64)


def read_group_names(file: Path, names: Sequence[str]) -> list[str]:
    """Do as `read_groups`, but return each group as the file names it."""
    groups: dict[str, str] = {}
    for number, (name, group) in enumerate(_rows(file), 1):
        if groups.setdefault(name, group) != group:
            raise DataError(f"{shown(file)}:{number}: {shown(name)} is in a second group, {group}")
    found = [groups.get(name, groups.get(PurePosixPath(name).name)) for name in names]
    missing = [name for name, group in zip(names, found, strict=True) if group is None]
    if missing:
        first = ", ".join(shown(name) for name in missing[:5]) + (", …" if missing[5:] else "")
        raise DataError(f"{shown(file)} has no group for {len(missing):,} samples: {first}")
    return [group for group in found if group is not None]


def _rows(file: Path) -> list[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"{shown(file)} cannot be read: {error.strerror}") from error
    lines = text.splitlines()
    # A name may hold spaces, a group may not.
    fields = (
        csv.reader(lines) if file.suffix.lower() == ".csv" else (s.rsplit(None, 1) for s in lines)
    )
    rows = []
    for number, row in enumerate(fields, 1):
        if not row:
            continue
        if len(row) < 2:
            raise DataError(f"{shown(file)}:{number}: expected a name and a group, got {row[0]!r}")
        rows.append((row[0].strip(), row[1].strip()))
    return rows


def _shuffled_groups(
    n: int, groups: ArrayLike, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the members of each group, groups and members in random order."""
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise RecipeError(f"there are {n:,} samples but {labels.size:,} group numbers")
    _, numbers = np.unique(labels, return_inverse=True)
    order = rng.permutation(n)
    order = order[np.argsort(numbers[order], kind="stable")]
    members = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
    return [members[index] for index in rng.permutation(len(members))]


def _sorted(
    parts: Sequence[NDArray[np.int64]], names: Sequence[str] | Mapping[str, int]
) -> Indices:
    return {name: np.sort(part).astype(np.int64) for name, part in zip(names, parts, strict=True)}
