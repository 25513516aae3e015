"""Which files there are to do, what they are written as, and which masks are theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from attrs import frozen

from frx import images
from frx.errors import DataError, RecipeError
from frx.images import shown

Format = Literal["keep", "png", "jpeg", "webp"]

_SUFFIXES: Mapping[str | None, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
_LOSSY = (".jpg", ".jpeg", ".webp", ".avif")


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


def collect(inputs: Sequence[Path], out: Path, naming: Naming) -> list[Job]:
    """Files as they are, folders with every image in them, their sub-folders kept.

    What lies in `out` is not taken for a photograph to restore.

    Raises:
        DataError: an input does not exist, nothing is there to do, or two would have one name.
    """
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            jobs += [
                Job(path, path.relative_to(given), naming(path.relative_to(given)))
                for path in _images_in(given)
                if not path.resolve().is_relative_to(out.resolve())
                or given.resolve().is_relative_to(out.resolve())
            ]
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


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in images.SUFFIXES)


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
