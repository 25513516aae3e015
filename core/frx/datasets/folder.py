"""Pictures in a folder and its sub-folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

import attrs
import numpy as np
from annotated_types import Ge, Len
from numpy.typing import NDArray

from frx import images
from frx.datasets.folder_index import EXTENSIONS, FolderIndex, index_folder

Crop = Literal["center", "none"]
Decoding = Literal["full", "reduced"]


@attrs.frozen(kw_only=True)
class Folder:
    """All pictures below a folder; train, val, test and test_… in it are splits.

    Gives "clean", uint8 [size, size, 3], or of each picture's own size where `size` is "own". The
    longer side is first cropped to the shorter (`crop = "center"`), or squeezed (`"none"`). Hidden
    files are left out; transparent pictures are laid on white.

    With `decoding = "reduced"` large JPEGs are decoded at a half, quarter or eighth of their size,
    in about half the time and with other pixels: squares of a multiple of `size` differ from full
    decoding by about 50 dB PSNR, and a crop may move by a quarter of a pixel.

    Raises:
        DataError: the folder is missing or has no picture; a picture is missing or damaged.
    """

    path: str
    size: Annotated[int, Ge(1)] | Literal["own"] = 128
    crop: Crop = "center"
    extensions: Annotated[tuple[str, ...], Len(1)] = EXTENSIONS
    decoding: Decoding = "full"
    _index: FolderIndex = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        check_extensions(self.extensions)
        index = index_folder(Path(self.path).expanduser(), tuple(self.extensions))
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        return len(self._index)

    def name(self, index: int) -> str:
        """Return the path below the folder, with slashes on every system."""
        return self._index[index]

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        reduced_for = self.size if self.decoding == "reduced" and self.size != "own" else None
        path = os.path.join(self._index.folder, self._index[index])
        pixels = images.read_rgb(path, reduced_for=reduced_for)
        return {"clean": squared(pixels, self.size, self.crop)}

    def splits(self) -> dict[str, NDArray[np.int64]]:
        """Return the sample numbers below train, val, test and test_…, where there are such."""
        return split_folders(self._index)

    def groups(self) -> NDArray[np.int64] | None:
        """Return nothing: a folder does not say who is in the pictures."""
        return None

    def fingerprint(self) -> str:
        """Change with the names, the files' sizes and what is made of the pictures."""
        decoding = " reduced" if self.decoding == "reduced" else ""
        made = f"{self._index.fingerprint} {self.size} {self.crop}{decoding}"
        return hashlib.blake2b(made.encode(), digest_size=16).hexdigest()


def squared(pixels: NDArray[np.uint8], size: int | Literal["own"], crop: Crop) -> NDArray[np.uint8]:
    """Bring a picture to `size` × `size`; leave it as it is where `size` is "own"."""
    if size == "own":
        return pixels
    square = images.crop_to_square(pixels) if crop == "center" else pixels
    # A view of a picture of the right size already would keep the whole of it alive.
    return np.ascontiguousarray(images.resize(square, size, size))


def split_folders(index: FolderIndex) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of the names below each folder that is named like a split."""
    names = ["train", "val", "test", *index.subfolders("test_")]
    ranges = {name: index.with_prefix(f"{name}/") for name in names}
    return {name: np.array(found, np.int64) for name, found in ranges.items() if found}


def check_extensions(extensions: tuple[str, ...]) -> None:
    """Refuse what no file name can end in.

    Raises:
        ValueError: an extension does not begin with a dot.
    """
    for extension in extensions:
        if not extension.startswith("."):
            raise ValueError(f"the extension {extension!r} must begin with a dot")
