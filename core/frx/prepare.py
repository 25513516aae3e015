"""From one folder of pictures to folders train, val and test."""

from __future__ import annotations

import csv
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from frx.datasets.folder_index import FolderIndex, index_folder
from frx.errors import DataError, RecipeError
from frx.files import failing_clearly
from frx.images import shown
from frx.splits import OTHER_NAMES, read_group_names, sample_indices, split_indices

Work = list[tuple[int, str]]


def prepare(
    source: Path,
    out: Path,
    *,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 42,
    counts: Mapping[str, int] | None = None,
    groups_file: Path | None = None,
    link: bool = True,
    progress: Callable[[Work], Iterable[tuple[int, str]]] | None = None,
) -> dict[str, int]:
    """Share the pictures of `source` out to folders below `out`; return how many went where.

    `counts` takes so many for each split instead of shares of all; "valid" is "val". No group of
    `groups_file` comes into two splits. Pictures keep their paths below `source`. With `link` they
    are hard links where the file system allows, else symbolic links, else copies. `out` also gets a
    split.csv (name, split, group), and appears whole or not at all.

    Raises:
        DataError: the source has no picture or too few, or `out` is not empty.
        ResourceError: the disk is full or cannot be written to.
    """
    source, out = Path(source), Path(out)
    _require_free(source, out)
    index = index_folder(source)
    groups = read_group_names(groups_file, list(index)) if groups_file else None
    if counts is None:
        chosen = split_indices(len(index), fractions, seed, groups)
    else:
        counts = _by_own_names(counts)
        for split in counts:
            if not split or split.startswith(".") or {"/", "\\"} & set(split):
                raise RecipeError(f"{split!r} cannot be the name of a split")
        chosen = sample_indices(len(index), counts, seed, groups)
    work = sorted((int(number), split) for split, found in chosen.items() for number in found)

    # Hidden, so that nobody takes what an interruption leaves for a data set.
    partial = out.with_name(f".frx-{secrets.token_hex(6)}.tmp")
    with failing_clearly(out):
        try:
            partial.mkdir(parents=True)
            _fill(partial, index, work, link, progress or _tracked)
            _write_table(partial / "split.csv", index, work, groups)
            if out.exists():
                out.rmdir()
            partial.rename(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return {split: len(found) for split, found in chosen.items()}


def _by_own_names(counts: Mapping[str, int]) -> dict[str, int]:
    """Call splits what the data sets call them."""
    own = {OTHER_NAMES.get(name, name): count for name, count in counts.items()}
    if len(own) < len(counts):
        raise RecipeError(f"{', '.join(counts)}: two of these are the same split, val")
    return own


def _require_free(source: Path, out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{shown(out)} is not empty; empty it or choose another folder")
    if out.exists() and not out.is_dir():
        raise DataError(f"{shown(out)} is a file; choose another name for the folder")
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source)):
        raise DataError(f"{shown(out)} lies in {shown(source)}; choose a folder outside it")


def _tracked(work: Work) -> Iterable[tuple[int, str]]:
    from frx.progress import track

    return track(work, total=len(work), label="preparing")


def _fill(
    folder: Path,
    index: FolderIndex,
    work: Work,
    link: bool,
    progress: Callable[[Work], Iterable[tuple[int, str]]],
) -> None:
    for number, split in progress(work):
        name = index[number]
        target = folder / split / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # A hard link to a symbolic one would lead nowhere once moved.
        origin = os.path.realpath(index.folder / name)
        try:
            _place(origin, target, link)
        except FileExistsError:
            raise DataError(
                f"{shown(name)}: this file system takes it for the same name as another picture's"
            ) from None
        except FileNotFoundError:
            raise DataError(f"{shown(index.folder / name)} is gone, or a link to nowhere") from None


def _place(origin: str, target: Path, link: bool) -> None:
    for way in (os.link, os.symlink) if link else ():
        try:
            way(origin, target)
            return
        except (FileExistsError, FileNotFoundError):
            raise
        except (OSError, NotImplementedError):
            continue  # another disk, or a file system without links
    with open(origin, "rb") as picture, open(target, "xb") as copy:
        shutil.copyfileobj(picture, copy)
    shutil.copystat(origin, target)


def _write_table(path: Path, index: FolderIndex, work: Work, groups: list[str] | None) -> None:
    with open(path, "x", newline="", encoding="utf-8", errors="surrogateescape") as file:
        table = csv.writer(file)
        table.writerow(["name", "split", "group"])
        for number, split in work:
            table.writerow([index[number], split, groups[number] if groups else ""])
