"""Photographs in, restored photographs out, at their own size and under their own names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field, frozen

from frx import files, images
from frx.errors import DataError, FrxError, RecipeError
from frx.images import Picture, shown
from frx.interruption import Interrupted, Interruption, listening
from frx.locking import locked
from frx.memory import is_out_of_memory
from frx.model_folder import Restorer
from frx.photograph import Photograph
from frx.progress import Progress, say
from frx.restoring import tiles
from frx.restoring.batches import Batches
from frx.restoring.finishing import Finishing, Photo
from frx.restoring.jobs import Job, Naming, collect, find_masks
from frx.restoring.places import Places
from frx.restoring.record import FileRecord, Results, key_of, read

RESULTS, LOCK = "results.jsonl", ".restore.lock"
# Photographs of which some faces still wait for others to fill a batch with, in pixels.
MOST_WAITING = 64_000_000


@frozen(eq=False)
class Way:
    """How photographs are restored: where in them, what they are called, how they are written."""

    places: Places
    naming: Naming
    finishing: Finishing

    @property
    def restorer(self) -> Restorer:
        """The network."""
        return self.finishing.restorer


def check_fit(way: Way, masks: Path | None) -> None:
    """Find out whether a model goes together with masks, and with whole pictures.

    Raises:
        RecipeError: it asks for a mask and there is none, or the other way round.
    """
    restorer, found_masks = way.restorer, way.finishing.found_masks
    name = restorer.name
    if way.places.rest and restorer.fixed_size:
        raise RecipeError(f"{name} sees faces of {restorer.size} px alone: leave --whole out")
    required = {asked for asked, has_to_be in restorer.asks.items() if has_to_be}
    if unknown := sorted(required - {"degraded", "mask"}):
        raise RecipeError(f"{name} asks for {unknown[0]!r}, which no photograph brings along")
    if masks is None and "mask" in required:
        raise RecipeError(f"{name} asks for a mask of what is to fill in: give it with --mask")
    if masks is not None and not restorer.takes_mask:
        raise RecipeError(f"{name} does not ask for a mask: leave --mask out")
    if found_masks is not None and (masks is not None or not restorer.finds_damage):
        blind = restorer.finds_damage
        why = "--mask says where" if blind else f"{name} does not look for damage"
        raise RecipeError(f"{why}: leave --found-masks out")


def restore(
    inputs: Sequence[Path], out: Path, way: Way, masks: Path | None = None, *, settings: str = ""
) -> list[FileRecord]:
    """Restore every photograph and write it under `out`; return what became of each, in order.

    With `masks` (see `find_masks`), or a network that finds the damage itself, only what is marked
    is replaced: inside faces as the network sees these, elsewhere as it sees the whole picture.
    All that is not replaced keeps its values to the last bit; a photograph of which nothing is
    replaced is copied.

    A file that fails is named in its record; the others are done. What an earlier call did that
    was stopped or killed is not done again while photograph, mask and `settings` are the same.

    Raises:
        RecipeError: as `check_fit`.
        DataError: as `collect` and `find_masks`.
        ResourceError: the disk is full or cannot be written to.
        BusyError: another process writes to `out`.
        Interrupted: a signal came; what is written stays.
    """
    check_fit(way, masks)
    made = [Path(record.output) for record in read(out / RESULTS) if record.output]
    jobs = collect(inputs, out, way.naming, made)
    masks_of = {} if masks is None else find_masks(masks, jobs)
    if way.places.rest:
        _tell_memory(jobs, way.finishing)
    interruption = Interruption()
    with (
        locked(out, LOCK),
        Results.open(out / RESULTS) as results,
        listening(interruption),
        Progress("restoring", len(jobs), unit="photographs") as progress,
    ):
        files.sweep(out)
        work = _Work(way, out, masks, masks_of, settings, results, progress.advance)
        for job in jobs:
            work.begin(job)
            if interruption.number is not None:
                raise Interrupted(
                    interruption.number,
                    f"stopped; what is done stays in {out}, and the same command goes on",
                )
        work.end()
    if work.again:
        say(f"{work.again} of {len(jobs)} photographs were done already")
    return [work.records[job.source] for job in jobs]


def _tell_memory(jobs: Sequence[Job], finishing: Finishing) -> None:
    """Say how the largest picture will go through the network, and what memory that takes."""
    sizes = []
    for job in jobs:
        with suppress(DataError):
            sizes.append(images.read_size(job.source))
    if not sizes:
        return
    height, width = max(sizes, key=lambda size: size[0] * size[1])
    planned = tiles.plan(finishing.restorer, height, width)
    tile_px = finishing.tile_px or planned.tile_px
    text = f"the largest picture has {width}×{height} pixels: "
    text += "in one piece" if tile_px is None else f"in tiles of {tile_px} px"
    if planned.estimate is not None and tile_px == planned.tile_px:
        text += f", which takes about {planned.estimate / 2**30:.1f} GiB"
        text += f" of the {planned.free / 2**30:.1f} GiB free" if planned.free else ""
    say(text)


@define(eq=False)
class _Work:
    """What goes on between the first photograph and the last."""

    way: Way
    out: Path
    masks: Path | None
    masks_of: Mapping[Path, Sequence[Path]]
    settings: str
    results: Results
    advance: Callable[[], None]
    batches: Batches = field(init=False)
    waiting: list[Photo] = field(factory=list)
    records: dict[Path, FileRecord] = field(factory=dict)
    again: int = 0

    @batches.default
    def _(self) -> Batches:
        return Batches(self.way.restorer)

    def begin(self, job: Job) -> None:
        """Read a photograph, send through what fills a batch, and finish what is ready."""
        with self._recording_failure(job):
            sources = (job.source, *self.masks_of.get(job.source, ()))
            key = key_of(sources, self.settings)
            if (earlier := self.results.done(str(job.source), key)) is not None:
                self.records[job.source] = earlier
                self.again += 1
                self.advance()
                return
            for target in self.way.finishing.targets(self.out, job.name):
                if any(files.real(target) == files.real(source) for source in sources):
                    raise DataError(f"{shown(target)}: would be overwritten; choose another -o")
            photograph = images.read(job.source)
            mask = self._mask(photograph)
            photo = Photo.cut(job, key, photograph, mask, self.way.places)
            self.waiting.append(photo)
            for part in photo.parts:
                self.batches.add(part)
        if sum(photo.pixels[..., 0].size for photo in self.waiting) > MOST_WAITING:
            self.batches.flush()
        self._finish_ready()

    def end(self) -> None:
        """Finish all that waits."""
        self.batches.flush()
        self._finish_ready()

    def _mask(self, photograph: Photograph) -> Picture | None:
        if self.masks is None:
            return None
        found = self.masks_of[photograph.path]
        if len(found) != 1:
            paths = ", ".join(map(shown, found))
            listed = f"{len(found)} masks ({paths})" if found else "no mask"
            raise DataError(f"{shown(photograph.path)}: {listed} in {shown(self.masks)}")
        mask = images.read_mask(found[0])
        if mask.shape != photograph.pixels.shape[:2]:
            (height, width), (rows, columns) = mask.shape, photograph.pixels.shape[:2]
            raise DataError(
                f"{shown(found[0])}: this mask has {width}×{height} pixels, but "
                f"{shown(photograph.path)} has {columns}×{rows}"
            )
        return mask

    def _finish_ready(self) -> None:
        ready = [photo for photo in self.waiting if photo.is_ready]
        self.waiting = [photo for photo in self.waiting if not photo.is_ready]
        for photo in ready:
            with self._recording_failure(photo.job):
                self._record(photo.job, self.way.finishing(photo, self.out))

    def _record(self, job: Job, record: FileRecord) -> None:
        self.results.add(record)
        self.records[job.source] = record
        self.advance()

    @contextmanager
    def _recording_failure(self, job: Job) -> Iterator[None]:
        try:
            yield
            return
        except FrxError as error:
            reason = str(error)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = f"{shown(job.source)}: out of memory; make the picture smaller"
        self._record(job, FileRecord(str(job.source), str(job.name), "failed", "", reason=reason))
