"""Which files there are to do, what they are written as, and which masks are theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Literal

from attrs import frozen

from frx import files, images
from frx.errors import DataError, RecipeError
from frx.images import shown

Format = Literal["keep", "png", "jpeg", "webp"]

_SUFFIXES: Mapping[str | None, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
_LOSSY = (".jpg", ".jpeg", ".webp", ".avif")
# Photographs that frx does not read, taken in so that each is named instead of passed over.
_UNREAD = (".heic", ".heif", ".jxl", ".jp2", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw")

# What lies in the output folder beside the photographs.
CROPS_BEFORE, CROPS_AFTER, COMPARISONS = "cropped_faces", "restored_faces", "cmp"


@frozen
class Job:
    """One file to do: where it is, its name below the input, and below the output folder."""

    source: Path
    given: Path
    name: Path


@frozen
class Naming:
    """What a restored photograph is called: its own name, unless something else is asked for.

    `suffix` is put behind the stem. `format` None keeps the format, but writes PNG where a lossy
    one would change what is to stay as it is `in_part`. GIF, a poor place for a photograph, is
    always written as PNG.
    """

    format: Format | None = None
    suffix: str = ""
    in_part: bool = False

    def __attrs_post_init__(self) -> None:
        if self.suffix and PurePath(f"a{self.suffix}").name != f"a{self.suffix}":
            raise RecipeError(f"--suffix {self.suffix}: a part of a file's name, not of a path")

    def __call__(self, given: Path) -> Path:
        """The name of what becomes of `given`."""
        ending = given.suffix
        if self.format in _SUFFIXES:
            # A .jpeg that stays one keeps its own spelling.
            if images.SUFFIXES.get(ending.lower()) != images.SUFFIXES[_SUFFIXES[self.format]]:
                ending = _SUFFIXES[self.format]
        elif ending.lower() == ".gif" or (
            self.format is None and self.in_part and ending.lower() in _LOSSY
        ):
            ending = ".png"
        return given.with_name(f"{given.stem}{self.suffix}{ending}")


def collect(
    inputs: Sequence[Path], out: Path, naming: Naming, made: Iterable[Path] = ()
) -> list[Job]:
    """Files as they are, folders with every image in them, their sub-folders kept.

    What frx wrote is not taken for a photograph to restore: what lies in `out`, unless that is
    where the photographs are; there, what lies in its folders of crops, and `made` before.

    Raises:
        DataError: an input does not exist, nothing is there to do, or two would have one name.
    """
    own = files.real(out)
    written = {files.real(path) for path in made}
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            for path in _images_in(given, (*images.SUFFIXES, *_UNREAD)):
                if not _is_own(files.real(path), own, written, files.real(given)):
                    name = path.relative_to(given)
                    jobs.append(Job(path, name, naming(name)))
        elif given.exists():
            jobs.append(Job(given, Path(given.name), naming(Path(given.name))))
        else:
            raise DataError(f"{shown(given)}: no such file or folder")
    if not jobs:
        listed = ", ".join(shown(given) for given in inputs)
        raise DataError(f"{listed}: no image in it ({', '.join(sorted(images.SUFFIXES))})")
    names: dict[Path, Path] = {}
    for job in jobs:
        if job.name in names:
            first, second = shown(names[job.name]), shown(job.source)
            raise DataError(f"{first} and {second} would both be written {shown(job.name)}")
        names[job.name] = job.source
    return jobs


def _is_own(path: Path, own: Path, written: set[Path], given: Path) -> bool:
    """Whether frx wrote a file found in the folder `given`."""
    if not path.is_relative_to(own):
        return False
    beside = path.relative_to(own).parts[0] in (CROPS_BEFORE, CROPS_AFTER, COMPARISONS)
    return beside or path in written or not given.is_relative_to(own)


def _images_in(folder: Path, suffixes: Iterable[str] = tuple(images.SUFFIXES)) -> list[Path]:
    """What begins with a dot is some system's note on a picture, under the picture's suffix."""
    known = frozenset(suffixes)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in known and not path.name.startswith(".")
    )


def find_masks(given: Path, jobs: Sequence[Job]) -> dict[Path, list[Path]]:
    """The masks of each photograph, by its path; each should have one.

    `given` is the mask of the only photograph, or a folder that has masks under the names of the
    photographs, of any suffix.

    Raises:
        DataError: there is no such file or folder.
        RecipeError: one mask is given for several photographs.
    """
    if given.is_dir():
        by_name: dict[Path, list[Path]] = {}
        for path in _images_in(given):
            by_name.setdefault(path.relative_to(given).with_suffix(""), []).append(path)
        return {job.source: by_name.get(job.given.with_suffix(""), []) for job in jobs}
    if not given.exists():
        raise DataError(f"{shown(given)}: no such file or folder")
    if len(jobs) > 1:
        raise RecipeError(
            f"--mask {shown(given)}: one mask for {len(jobs)} photographs; give a folder of masks"
        )
    return {job.source: [given] for job in jobs}
