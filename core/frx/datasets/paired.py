"""Pictures that exist twice: clean, and really damaged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import attrs
import numpy as np
from annotated_types import Ge, Len
from numpy.typing import NDArray

from frx import files, images
from frx.datasets.folder import Crop, check_extensions, split_folders, squared
from frx.datasets.folder_index import EXTENSIONS, FolderIndex, index_folder
from frx.errors import DataError, ResourceError
from frx.images import shown
from frx.parallel import on_all_cores

ROLES = ("clean", "corrupted", "mask")
DIFFER, NO_MASK = "pairs that differ in size", "masks with values other than 0 and 255"


@attrs.frozen(kw_only=True, eq=False)
class Paired:
    """Pairs of pictures from folders clean/ and corrupted/, with masks from mask/.

    These folders lie in `path` itself, or in path/train, path/val, path/test and path/test_…; mask
    may be missing. Pictures belong together by their path without the extension. Gives "clean" and
    "degraded", uint8 [size, size, 3], and "mask", uint8 [size, size], 255 = destroyed; size and
    crop as in `folder`.

    With `suffixes` every clean picture has several damaged copies, one for each: for "noisy" that
    of clean/NAME.png is corrupted/NAME_noisy.png, with mask/NAME_noisy.png. Each copy is a sample;
    all copies of one picture are in one split.

    Raises:
        DataError: names the first five pictures without a partner or lacking a copy, pairs that
            differ in size, or masks with values other than 0 and 255.
    """

    path: str
    size: Annotated[int, Ge(1)] | Literal["own"] = "own"
    crop: Crop = "center"
    extensions: Annotated[tuple[str, ...], Len(1)] = EXTENSIONS
    suffixes: tuple[str, ...] = ()
    _index: FolderIndex = attrs.field(init=False, repr=False)
    _files: NDArray[np.int64] = attrs.field(init=False, repr=False)  # [sample, role]

    def __attrs_post_init__(self) -> None:
        check_extensions(self.extensions)
        _check_suffixes(self.suffixes)
        index = index_folder(Path(self.path).expanduser(), tuple(self.extensions))
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_files", _matched(index, self.suffixes))
        self._check_all_once()

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        """Return the picture's path without its folder clean/: `train/0001.jpg`.

        A copy's is that without its folder corrupted/: `train/0001_noisy.png`.
        """
        role = ROLES.index("corrupted" if self.suffixes else "clean")
        split, _, rest = _parts(self._index[int(self._files[index, role])])
        return f"{split}/{rest}" if split else rest

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        clean, degraded, *mask = self._paths(index)
        pictures = {"clean": images.read_rgb(clean), "degraded": images.read_rgb(degraded)}
        if mask:
            pictures["mask"] = images.read_mask(mask[0], strict=True)
        if len({picture.shape[:2] for picture in pictures.values()}) > 1:
            raise DataError(f"{shown(clean)} and its partners differ in size")
        sized = {
            name: squared(pictures[name], self.size, self.crop) for name in ("clean", "degraded")
        }
        if mask:
            sized["mask"] = self._sized_mask(pictures["mask"])
        return sized

    def splits(self) -> dict[str, NDArray[np.int64]]:
        """Return the sample numbers of train, val, test and test_…, where there are such."""
        clean = self._files[:, 0]
        return {
            name: np.flatnonzero((clean >= found[0]) & (clean <= found[-1])).astype(np.int64)
            for name, found in split_folders(self._index).items()
        }

    def groups(self) -> NDArray[np.int64] | None:
        """Return the number of each copy's clean picture.

        Without suffixes nothing: the folders do not say who is in the pictures.
        """
        return self._files[:, ROLES.index("clean")].copy() if self.suffixes else None

    def fingerprint(self) -> str:
        """Change with the names, the files' sizes and what is made of the pictures."""
        copies = f" {tuple(self.suffixes)}" if self.suffixes else ""
        made = f"paired {self._index.fingerprint} {self.size} {self.crop}{copies}"
        return hashlib.blake2b(made.encode(), digest_size=16).hexdigest()

    def _paths(self, index: int) -> list[str]:
        numbers = self._files[index]
        folder = self._index.folder
        return [os.path.join(folder, self._index[int(n)]) for n in numbers if n >= 0]

    def _sized_mask(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.size == "own":
            return mask
        square = images.crop_to_square(mask) if self.crop == "center" else mask
        return np.ascontiguousarray(images.resize_mask(square, self.size, self.size))

    def _check_all_once(self) -> None:
        """Open every pair once; later starts trust a note in the cache, and single reads check."""
        from frx.progress import track

        # Without the suffixes: only one choice of them fits the names of a folder.
        note = files.cache_folder() / "index" / f"{self._index.fingerprint}.paired"
        if note.exists():
            return
        found: dict[str, list[str]] = {DIFFER: [], NO_MASK: []}
        every = range(len(self))
        faults = track(
            on_all_cores(self._fault, every), total=len(self), label="checking pairs", unit="pairs"
        )
        for index, fault in zip(every, faults, strict=True):
            if fault is not None:
                found[fault].append(self.name(index))
        for fault, names in found.items():
            _refuse(self._index.folder, fault, names)
        try:
            files.write(note, "")
        except ResourceError:
            return  # the index has warned of that already

    def _fault(self, index: int) -> str | None:
        """What is wrong with a sample, if anything is."""
        clean, *partners = self._paths(index)
        try:
            size = images.read_size(clean)
            if any(images.read_size(partner) != size for partner in partners):
                return DIFFER
            if len(partners) == 2:
                images.read_mask(partners[1], strict=True)
        except images.MaskError:
            return NO_MASK
        except DataError:
            pass  # what cannot be read at all is left to the run, which may skip it
        return None


def _parts(name: str) -> tuple[str, str, str]:
    """Return split, role and the rest of a name; an empty role where it belongs to none."""
    first, _, rest = name.partition("/")
    if first in ROLES and rest:
        return "", first, rest
    second, _, inner = rest.partition("/")
    if second in ROLES and inner and (first in ("train", "val", "test") or first[:5] == "test_"):
        return first, second, inner
    return "", "", name


def _check_suffixes(suffixes: tuple[str, ...]) -> None:
    for number, suffix in enumerate(suffixes):
        if not suffix:
            raise ValueError('a suffix in suffixes is empty; for NAME_noisy it is "noisy"')
        if suffix in suffixes[:number]:
            raise ValueError(f"suffixes has {suffix!r} twice")


def _matched(index: FolderIndex, suffixes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the file numbers of each sample, −1 for no mask; [sample, role]."""
    rows: dict[tuple[str, str], list[int]] = {}
    roles_of: dict[str, set[str]] = {}
    twice: set[str] = set()
    sharing: set[str] = set()
    for number, name in enumerate(index):
        split, role, rest = _parts(name)
        if not role:
            continue
        roles_of.setdefault(split, set()).add(role)
        stem = str(PurePosixPath(rest).with_suffix(""))
        has_copies = role == "clean" and bool(suffixes)
        for key in [f"{stem}_{suffix}" for suffix in suffixes] if has_copies else [stem]:
            row = rows.setdefault((split, key), [-1, -1, -1])
            if row[ROLES.index(role)] >= 0:
                (sharing if has_copies else twice).add(name)
            row[ROLES.index(role)] = number
    if not rows:
        raise DataError(
            f"{shown(index.folder)} has no folders clean/ and corrupted/, neither itself nor in "
            "train/, val/ or test/"
        )
    _refuse(index.folder, "pictures with a namesake of another extension", twice)
    _refuse(index.folder, "clean pictures whose copies would be another's too", sharing)
    for split, roles in roles_of.items():
        for role in ("clean", "corrupted"):
            if role not in roles:
                place = os.path.join(index.folder, split, role)
                raise DataError(f"{shown(place)} is missing or has no picture")
    with_masks = {split for split, roles in roles_of.items() if "mask" in roles}
    if with_masks and with_masks != set(roles_of):
        lacking = sorted(set(roles_of) - with_masks)[0]
        raise DataError(
            f"{shown(os.path.join(index.folder, lacking))} has no masks, but "
            f"{shown(os.path.join(index.folder, sorted(with_masks)[0]))} has"
        )
    if suffixes:
        _refuse(index.folder, "clean pictures that lack a damaged copy", _lacking(index, rows))
    wanted = 3 if with_masks else 2
    alone = [index[max(row)] for row in rows.values() if min(row[:wanted]) < 0]
    _refuse(
        index.folder,
        (
            "pictures without partners in all of clean/, corrupted/ and mask/"
            if with_masks
            else "pictures without a partner in clean/ or corrupted/"
        )
        + (f" by the suffixes {', '.join(suffixes)}" if suffixes else ""),
        alone,
    )
    return np.array(sorted(rows.values()), np.int64)


def _lacking(index: FolderIndex, rows: Mapping[tuple[str, str], Sequence[int]]) -> list[str]:
    """Return each clean picture with a copy missing, and which, by the names of the pictures."""
    missing: dict[str, list[str]] = {}
    for (_, key), (clean, corrupted, _) in rows.items():
        if clean >= 0 and corrupted < 0:
            missing.setdefault(index[clean], []).append(PurePosixPath(key).name)
    return [f"{name} (has no {' and no '.join(copies)})" for name, copies in missing.items()]


def _refuse(folder: Path, fault: str, names: Iterable[str]) -> None:
    listed = sorted(names)
    if listed:
        first = ", ".join(shown(name) for name in listed[:5])
        more = ", …" if len(listed) > 5 else ""
        raise DataError(f"{shown(folder)}: {fault} ({len(listed):,}): {first}{more}")
