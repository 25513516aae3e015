"""Photographs in, restored photographs out, at their own size and under their own names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import Factory, define, frozen

from frx import images
from frx.errors import DataError, FrxError, ResourceError
from frx.grids import to_pixels
from frx.images import Picture
from frx.memory import is_out_of_memory
from frx.model_folder import Restorer
from frx.photograph import Photograph
from frx.progress import Progress

# What can be read but is a poor place for a restored photograph.
WRITTEN_AS = {".gif": ".png"}


@frozen
class Job:
    """One file to do: where it is and under which relative name it is written."""

    source: Path
    name: Path


@define
class Outcome:
    """What became of the files."""

    done: list[Path] = Factory(list)
    failed: dict[Path, str] = Factory(dict)


def collect(inputs: Sequence[Path]) -> list[Job]:
    """Files as they are, folders with every image in them, their sub-folders kept.

    Raises:
        DataError: an input does not exist, nothing is there to do, or two would have one name.
    """
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            inside = sorted(p for p in given.rglob("*") if p.suffix.lower() in images.SUFFIXES)
            jobs += [Job(path, path.relative_to(given)) for path in inside]
        elif given.exists():
            jobs.append(Job(given, Path(given.name)))
        else:
            raise DataError(f"{given}: no such file or folder")
    if not jobs:
        listed = ", ".join(str(given) for given in inputs)
        raise DataError(f"{listed}: no image in it ({', '.join(sorted(images.SUFFIXES))})")
    names: dict[Path, Path] = {}
    for job in jobs:
        if job.name in names:
            raise DataError(f"{names[job.name]} and {job.source} would both be written {job.name}")
        names[job.name] = job.source
    return jobs


def restore(inputs: Sequence[Path], out: Path, restorer: Restorer) -> Outcome:
    """Send every image through the network at its own size and write it under `out`.

    A file that fails is named in the outcome; the others are done.
    """
    jobs = collect(inputs)
    outcome = Outcome()
    with Progress("restoring", len(jobs)) as progress:
        for job in jobs:
            try:
                photograph = images.read(job.source)
                target = (out / job.name).with_suffix(
                    WRITTEN_AS.get(job.source.suffix.lower(), job.source.suffix)
                )
                if target.resolve() == job.source.resolve():
                    raise DataError(f"{job.source}: would be overwritten; choose another -o")
                images.write(target, restored(photograph, restorer), like=photograph)
                outcome.done.append(target)
            except FrxError as error:
                outcome.failed[job.source] = str(error)
            progress.advance()
    return outcome


def restored(photograph: Photograph, restorer: Restorer) -> Picture:
    """The restored pixels [H, W, 3] of a photograph."""
    pixels = torch.from_numpy(np.ascontiguousarray(photograph.pixels))
    degraded = pixels.permute(2, 0, 1).unsqueeze(0).to(restorer.precision.device).float().div_(255)
    try:
        return to_pixels(restorer({"degraded": degraded})["image"])
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        height, width = pixels.shape[:2]
        raise ResourceError(
            f"{photograph.path}: out of memory at {width}×{height}; "
            "make the picture smaller, or try another --device"
        ) from error
