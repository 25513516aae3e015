"""Photographs in, restored photographs out, at their own size and under their own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import Factory, define, frozen

from frx import images
from frx.blind import finds_damage
from frx.build import run_time_data
from frx.data import to_device
from frx.errors import DataError, FrxError, RecipeError, ResourceError
from frx.grids import to_pixels
from frx.images import Picture
from frx.memory import is_out_of_memory
from frx.model_folder import Restorer
from frx.photograph import Photograph
from frx.progress import Progress

# What can be read but is a poor place for a restored photograph.
WRITTEN_AS = {".gif": ".png"}
# These would change what is to stay as it is beside the damage.
WRITTEN_AS_IN_PART = WRITTEN_AS | dict.fromkeys((".jpg", ".jpeg", ".webp", ".avif"), ".png")


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
    unharmed: list[Path] = Factory(list)  # of those done: no damage was found, all is as it was


def collect(inputs: Sequence[Path], written_as: Mapping[str, str] = WRITTEN_AS) -> list[Job]:
    """Files as they are, folders with every image in them, their sub-folders kept.

    `written_as` names the suffixes that are written as others.

    Raises:
        DataError: an input does not exist, nothing is there to do, or two would have one name.
    """
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            found = [(path, path.relative_to(given)) for path in _images_in(given)]
        elif given.exists():
            found = [(given, Path(given.name))]
        else:
            raise DataError(f"{given}: no such file or folder")
        for path, name in found:
            jobs.append(
                Job(path, name.with_suffix(written_as.get(name.suffix.lower(), name.suffix)))
            )
    if not jobs:
        listed = ", ".join(str(given) for given in inputs)
        raise DataError(f"{listed}: no image in it ({', '.join(sorted(images.SUFFIXES))})")
    names: dict[Path, Path] = {}
    for job in jobs:
        if job.name in names:
            raise DataError(f"{names[job.name]} and {job.source} would both be written {job.name}")
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
        return {job.source: by_name.get(job.name.with_suffix(""), []) for job in jobs}
    if not given.exists():
        raise DataError(f"{given}: no such file or folder")
    if len(jobs) > 1:
        raise RecipeError(
            f"--mask {given}: one mask for {len(jobs)} photographs; give a folder of masks"
        )
    return {job.source: [given] for job in jobs}


def restore(
    inputs: Sequence[Path],
    out: Path,
    restorer: Restorer,
    masks: Path | None = None,
    found_masks: Path | None = None,
) -> Outcome:
    """Send every image through the network at its own size and write it under `out`.

    With `masks` (see `find_masks`), or a network that finds the damage itself, only what is marked
    is replaced. All else is written as it was read, bit for bit, so the suffixes of lossy formats
    become `.png`. `found_masks` is a folder for the masks of what such a network finds.

    A file that fails is named in the outcome; the others are done.

    Raises:
        RecipeError: the model asks for a mask and there is none, or the other way round.
        DataError: as `collect` and `find_masks`.
    """
    blind = finds_damage(restorer.module)
    asks = run_time_data(type(restorer.module).forward)
    model = type(restorer.module).__name__
    if masks is None and asks.get("mask"):
        raise RecipeError(f"{model} asks for a mask of what is to fill in: give it with --mask")
    if masks is not None and "mask" not in asks and not blind:
        raise RecipeError(f"{model} does not ask for a mask: leave --mask out")
    if found_masks is not None and (masks is not None or not blind):
        why = "--mask says where" if blind else f"{model} does not look for damage"
        raise RecipeError(f"{why}: leave --found-masks out")
    jobs = collect(inputs, WRITTEN_AS if masks is None and not blind else WRITTEN_AS_IN_PART)
    masks_of = {} if masks is None else find_masks(masks, jobs)
    outcome = Outcome()
    with Progress("restoring", len(jobs)) as progress:
        for job in jobs:
            targets = [out / job.name]
            if found_masks is not None:
                targets.append(found_masks / job.name.with_suffix(".png"))
            try:
                _refuse_overwriting(targets, (job.source, *masks_of.get(job.source, ())))
                photograph = images.read(job.source)
                mask = None if masks is None else _mask(photograph, masks, masks_of[job.source])
                pixels, replaced = restored(photograph, restorer, mask)
                images.write(targets[0], pixels, like=photograph)
                if found_masks is not None and replaced is not None:
                    images.write(targets[1], replaced)
                outcome.done.append(targets[0])
                if replaced is not None and not replaced.any():
                    outcome.unharmed.append(job.source)
            except FrxError as error:
                outcome.failed[job.source] = str(error)
            progress.advance()
    return outcome


def _refuse_overwriting(targets: Sequence[Path], sources: Sequence[Path]) -> None:
    for source in sources:
        if any(target.resolve() == source.resolve() for target in targets):
            raise DataError(f"{source}: would be overwritten; choose another -o")


def _mask(photograph: Photograph, given: Path, found: Sequence[Path]) -> Picture:
    if len(found) != 1:
        listed = f"{len(found)} masks ({', '.join(map(str, found))})" if found else "no mask"
        raise DataError(f"{photograph.path}: {listed} in {given}")
    mask = images.read_mask(found[0])
    if mask.shape != photograph.pixels.shape[:2]:
        (height, width), (rows, columns) = mask.shape, photograph.pixels.shape[:2]
        raise DataError(
            f"{found[0]}: this mask has {width}×{height} pixels, but {photograph.path} has "
            f"{columns}×{rows}"
        )
    return mask


def restored(
    photograph: Photograph, restorer: Restorer, mask: Picture | None = None
) -> tuple[Picture, Picture | None]:
    """The restored pixels [H, W, 3] of a photograph, and the mask [H, W] of what was replaced.

    Where the mask is 0 they are the photograph's own. It is the one given or, from a network that
    finds the damage itself, what that finds; there is none where every pixel is the network's.
    """
    pixels = np.ascontiguousarray(photograph.pixels)
    pictures = {"degraded": pixels} if mask is None else {"degraded": pixels, "mask": mask}
    batch = {
        name: to_device(torch.from_numpy(picture).unsqueeze(0), restorer.precision.device)
        for name, picture in pictures.items()
    }
    try:
        outputs = restorer(batch)
        image = to_pixels(outputs.get("generated", outputs["image"]))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        height, width = pixels.shape[:2]
        raise ResourceError(
            f"{photograph.path}: out of memory at {width}×{height}; "
            "make the picture smaller, or try another --device"
        ) from error
    if mask is None and "found" in outputs:
        mask = to_pixels(outputs["found"])[..., 0]
    return (image if mask is None else np.where(mask[..., None] > 0, image, pixels)), mask
