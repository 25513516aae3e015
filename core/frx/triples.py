"""Clean, corrupted and mask pictures on disk, in the layout that `paired` reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from attrs import frozen

from frx import files, images
from frx.datasets.paired import ROLES
from frx.errors import DataError
from frx.images import Picture, shown

Copy = tuple[int, str]  # the picture's number and the kind of damage


@frozen
class Triples:
    """The pictures `names` in `out`, each below its split ("" for none), a copy of every kind.

    [SPLIT/]clean/NAME.png, corrupted/NAME.png and mask/NAME.png; NAME_KIND.png where the kinds of
    damage have names. A picture's clean file is the last to be written: who is killed before has
    no picture, who is killed after has all of it but the masks that mark nothing.
    """

    out: Path
    names: Sequence[str]
    splits: Sequence[str]
    kinds: Sequence[str]

    def path(self, role: str, index: int, kind: str = "") -> Path:
        """Return where a file of a picture is."""
        return self.out / self._relative(role, index, kind)

    def copies(self, indices: Iterable[int]) -> Iterator[Copy]:
        """Give every damaged copy of these pictures."""
        return ((index, kind) for index in indices for kind in self.kinds)

    def refuse_namesakes(self) -> None:
        """Find pictures that would be one file.

        Raises:
            DataError: names the first two.
        """
        taken: dict[str, str] = {}
        for index, kind in self.copies(range(len(self.names))):
            target, name = self._relative("corrupted", index, kind), self.names[index]
            other = taken.setdefault(target, name)
            if other != name:
                raise DataError(
                    f"{shown(other)} and {shown(name)} would both be written {shown(target)}; "
                    "rename one"
                )

    def missing(self, *, with_masks: bool) -> list[int]:
        """Return the numbers of the pictures that lack a file."""
        roles = ("corrupted", "mask") if with_masks else ("corrupted",)
        return [
            index
            for index in range(len(self.names))
            if not os.path.exists(self.path("clean", index))
            or not all(
                os.path.exists(self.path(role, *copy))
                for copy in self.copies([index])
                for role in roles
            )
        ]

    def write(
        self, index: int, clean: Picture, damaged: Mapping[str, Picture | tuple[Picture, Picture]]
    ) -> None:
        """Write a picture and its damaged copies, with the masks that mark something."""
        # Always PNG: the losses of JPEG would be one more degradation, which no recipe names.
        for kind, made in damaged.items():
            degraded, mask = made if isinstance(made, tuple) else (made, None)
            if mask is not None and mask.any():
                self._write_mask((index, kind), mask)
            images.write(self.path("corrupted", index, kind), degraded)
        images.write(self.path("clean", index), clean)

    def remove(self, index: int) -> None:
        """Take away what there is of a picture, the clean file first."""
        with files.failing_clearly(self.out):
            self.path("clean", index).unlink(missing_ok=True)
            for copy in self.copies([index]):
                for role in ("corrupted", "mask"):
                    self.path(role, *copy).unlink(missing_ok=True)

    def without_mask(self, indices: Sequence[int]) -> list[Copy]:
        """Return the copies of these pictures that have no mask."""
        return [
            copy for copy in self.copies(indices) if not os.path.exists(self.path("mask", *copy))
        ]

    def write_empty_mask(self, copy: Copy) -> None:
        """Give a copy a mask that marks nothing: `paired` takes masks of all or none."""
        size = images.read_size(self.path("corrupted", *copy))
        self._write_mask(copy, np.zeros(size, np.uint8))

    def _write_mask(self, copy: Copy, mask: Picture) -> None:
        images.write(self.path("mask", *copy), mask)

    def _relative(self, role: str, index: int, kind: str = "") -> str:
        split = self.splits[index]
        # The name begins with the split where that is a folder of the source.
        name = PurePosixPath(self.names[index].removeprefix(f"{split}/"))
        named = name.with_name(f"{name.stem}_{kind}.png" if kind else f"{name.stem}.png")
        return str(PurePosixPath(split, role, named))


def holds_triples(folder: Path) -> Path | None:
    """Return a folder that has pictures as `Triples` would write them, if there is one."""
    if not folder.is_dir():
        return None
    splits = [folder / "train", folder / "val", folder / "test", *folder.glob("test_*")]
    for place in (below / role for below in (folder, *splits) for role in ROLES):
        if place.is_dir() and any(place.iterdir()):
            return place
    return None
