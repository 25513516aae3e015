"""What a network made, put back into its photograph, measured and written."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from attrs import define, field, frozen

from frx import files, images
from frx.deep_colour import to_8_bits
from frx.errors import DataError, FrxError
from frx.images import Picture, shown
from frx.model_folder import Restorer
from frx.photograph import Photograph
from frx.restoring import tiles
from frx.restoring.batches import Part, batch_of, failed, take
from frx.restoring.crops import Crop, Pixels, Values, paste
from frx.restoring.jobs import COMPARISONS, CROPS_AFTER, CROPS_BEFORE, Job
from frx.restoring.likeness import Likeness
from frx.restoring.places import Places
from frx.restoring.record import FaceRecord, FileRecord

COMPARISON_PX, GAP_PX = 1600, 8
# Levels by which the channels of a grey JPEG may differ, for its rounding.
NO_COLOUR = 4
BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)


@define(eq=False)
class Photo:
    """A photograph on its way, some of whose parts the network may not have seen yet."""

    job: Job
    key: str
    photograph: Photograph
    mask: Picture | None
    parts: list[Part]
    rest: bool
    seconds: float
    pixels: Pixels  # at the depth of its file
    is_gray: bool = field(init=False)

    @is_gray.default
    def _(self) -> bool:
        seen = self.photograph.pixels
        colour = seen.max(axis=2) - seen.min(axis=2)
        return bool((colour > NO_COLOUR).mean() < 0.01)

    @classmethod
    def cut(
        cls, job: Job, key: str, photograph: Photograph, mask: Picture | None, places: Places
    ) -> Photo:
        """Find where in a photograph to work, and cut that out."""
        started = time.monotonic()
        deep = photograph.deep
        pixels = np.ascontiguousarray(photograph.pixels) if deep is None else deep
        parts = [
            Part(crop, crop.cut(pixels), None if mask is None else crop.cut_mask(mask))
            for crop in places(photograph, mask)
        ]
        seconds = time.monotonic() - started
        return cls(job, key, photograph, mask, parts, places.rest, seconds, pixels)

    @property
    def is_ready(self) -> bool:
        """Whether the network has seen all its parts."""
        return all(part.is_done for part in self.parts)


@frozen(eq=False, kw_only=True)
class Finishing:
    """Puts back what a network made of a photograph, writes it and what goes with it.

    `strength` 0..1 is how far to go from the photograph to what the network made of it. `quality`
    None keeps that of the file. `found_masks` is a folder for the masks of what a network finds.
    """

    restorer: Restorer
    strength: float = 1.0
    tile_px: int | None = None
    quality: int | None = None
    likeness: Likeness | None = None
    found_masks: Path | None = None
    keep_crops: bool = False
    compare: bool = False

    def targets(self, out: Path, name: Path) -> list[Path]:
        """Where a photograph of that name, and the mask found in it, are written."""
        masks = [] if self.found_masks is None else [self.found_masks / name.with_suffix(".png")]
        return [out / name, *masks]

    def __call__(self, photo: Photo, out: Path) -> FileRecord:
        """Finish a photograph of which the network has seen all parts.

        Raises:
            DataError: the network failed, or the picture cannot be written.
            ResourceError: memory or disk gave out.
        """
        started = time.monotonic()
        made, replaced = self._pasted(photo)
        target, *mask_target = self.targets(out, photo.job.name)
        changed = bool((made != photo.pixels).any())
        if changed or target.suffix != photo.job.source.suffix:
            quality = self.quality or photo.photograph.quality or 95
            images.write(target, made, like=photo.photograph, quality=quality)
        else:  # to the last byte, which writing it anew would not keep
            files.write(target, photo.job.source.read_bytes(), durable=False)
        if mask_target:
            found = np.where(replaced > 0, np.uint8(255), np.uint8(0))
            images.write(mask_target[0], found)
        self._write_beside(photo, made, out)
        seconds = photo.seconds + sum(part.seconds for part in photo.parts)
        height, width = made.shape[:2]
        return FileRecord(
            source=str(photo.job.source),
            name=str(photo.job.name),
            status="restored" if changed else "unchanged",
            key=photo.key,
            output=str(target),
            reason=None if changed else self._why_unchanged(photo),
            width=width,
            height=height,
            faces=self._faces(photo, made),
            notes=photo.photograph.notes,
            seconds=round(seconds + time.monotonic() - started, 3),
        )

    def _pasted(self, photo: Photo) -> tuple[Pixels, Values]:
        """The finished pixels, and how much of each was replaced, 0..1."""
        for part in photo.parts:
            if part.failure:
                raise DataError(f"{shown(photo.job.source)}: {part.failure}")
        found = [part.found for part in photo.parts if part.found is not None]
        made, replaced = paste(
            photo.pixels,
            [part.crop for part in photo.parts],
            [self._toned(photo, part.image) for part in photo.parts if part.image is not None],
            mask=photo.mask,
            found=found if found and photo.mask is None else None,  # a person knows better
            strength=self.strength,
        )
        left = photo.mask
        if photo.mask is not None:
            left = np.where(replaced > 0, np.uint8(0), photo.mask)
        if photo.rest if left is None else left.any():
            made, more = self._whole(photo, made, left)
            replaced = replaced + more
        return made, replaced

    def _whole(self, photo: Photo, pixels: Pixels, mask: Picture | None) -> tuple[Pixels, Values]:
        """Send the whole picture through, and replace what `mask` or the network says."""
        height, width = pixels.shape[:2]
        whole = Crop.of_whole(height, width, 1)
        part = Part(whole, whole.cut(pixels), mask)
        name = shown(photo.job.source)
        batch = batch_of([part], self.restorer.precision.device)
        try:
            outputs = tiles.through(self.restorer, batch, tile_px=self.tile_px, name=name)
        except FrxError:
            raise
        except Exception as error:  # someone's network may raise anything
            raise DataError(f"{name}: {failed(error)}") from error
        take([part], outputs)
        if part.image is None:
            raise DataError(f"{name}: {part.failure}")
        found = part.found if mask is None else None
        return paste(
            pixels,
            [whole],
            [self._toned(photo, images.resize(part.image, height, width))],
            mask=mask,
            found=None if found is None else [found],
            strength=self.strength,
        )

    def _toned(self, photo: Photo, picture: Values) -> Values:
        """Without colours where the photograph has none: networks like to tint."""
        return np.repeat(picture @ BRIGHTNESS[:, None], 3, axis=2) if photo.is_gray else picture

    def _faces(self, photo: Photo, made: Pixels) -> tuple[FaceRecord, ...]:
        """What there is to say about each face."""
        crops = [part.crop for part in photo.parts]
        if not crops and self.likeness is not None:  # all of the picture was sent through
            crops = self.likeness.find(photo.photograph, None)
        alike: list[float] | list[None] = [None] * len(crops)
        if self.likeness is not None and crops:
            alike = self.likeness(photo.pixels, made, crops)
        height, width = made.shape[:2]
        return tuple(
            FaceRecord(
                box=crop.face.box if crop.face else (0.0, 0.0, float(width), float(height)),
                confidence=crop.face.confidence if crop.face else 1.0,
                side_px=round(crop.side_px, 1),
                likeness=None if value is None else round(value, 4),
                changed=value is not None
                and self.likeness is not None
                and value < self.likeness.threshold,
            )
            for crop, value in zip(crops, alike, strict=True)
        )

    def _why_unchanged(self, photo: Photo) -> str:
        if self.strength == 0:
            return "strength is 0"
        if photo.mask is not None and not photo.mask.any():
            return "nothing is marked in its mask"
        if not photo.parts and not photo.rest:
            return "no face found; --whole restores all of a picture, --aligned one that is a face"
        return "no damage found" if self.restorer.finds_damage else "the network changed nothing"

    def _write_beside(self, photo: Photo, made: Pixels, out: Path) -> None:
        name = photo.job.name
        if self.keep_crops:
            for number, part in enumerate(photo.parts):
                one = name.with_name(f"{name.stem}_{number:02}.png")
                images.write(out / CROPS_BEFORE / one, _eight_bits(part.given))
                if part.image is not None:
                    images.write(out / CROPS_AFTER / one, _eight_bits(part.image))
        if self.compare:
            before, after = (
                images.within(to_8_bits(pixels), COMPARISON_PX) for pixels in (photo.pixels, made)
            )
            gap = np.full((before.shape[0], GAP_PX, 3), 255, np.uint8)
            beside = np.concatenate([before, gap, after], axis=1)
            images.write(out / COMPARISONS / name.with_suffix(".jpg"), beside, quality=92)


def _eight_bits(picture: Values) -> Picture:
    """float [H, W, 3] in 0..1 (clipped) to uint8."""
    eight: Picture = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    return eight
