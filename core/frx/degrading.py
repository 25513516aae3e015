"""`frx degrade`: the damaged set of a recipe, written to disk, the same bits every time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

from frx import degraded_note, files
from frx.blame import culprit
from frx.damage import damage
from frx.data import split
from frx.datasets.folder import Folder
from frx.degraded_note import Note
from frx.errors import DataError, FrxError, RecipeError
from frx.images import shown
from frx.interruption import Interrupted, Interruption, listening
from frx.locking import locked
from frx.parallel import in_processes
from frx.progress import Progress, say
from frx.randomness import generator
from frx.recipe import Recipe
from frx.specs import Degradation
from frx.triples import Triples, holds_triples

Chain = Sequence[Degradation]
T = TypeVar("T")
R = TypeVar("R")

LOCK = ".degrade.lock"


@frozen
class Degraded:
    """What there is after `degrade`, and what is not: the reasons, by the pictures' names."""

    kinds: Sequence[str]
    splits: Mapping[str, int]  # how many pictures; "" for those in no split
    made: int
    failed: Mapping[str, str]


def degrade(source: Path, out: Path, recipe: Recipe, *, by_splits: bool = False) -> Degraded:
    """Damage every image of a folder as `recipe` does outside training.

    Writes `clean/`, `corrupted/` and, where any damage is marked, `mask/` with one PNG a name each:
    the layout that the data set `paired` reads. Where the recipe has several `chains`, a clean
    picture has a damaged copy of each: `corrupted/NAME_KIND.png`. Folders train, val, test and
    test_… of the source are folders of the set, with these three in each; `by_splits` deals out
    the pictures of a source that has none as the recipe's [data] says.

    What is drawn for a picture depends on the recipe's seed and the name below the source alone:
    where the source is the recipe's own folder, its damage is that of validation and test.

    A call that was stopped or killed is gone on with; a note in `out` says what it was making.
    What cannot be damaged is left out and named, and tried again by the next call.

    Raises:
        DataError: the folder is missing or has no image, the recipe damages nothing, two files
            would have one name, or `out` lies in the source or has what was made otherwise.
        ResourceError: the disk is full or cannot be written to.
        BusyError: another process writes to `out`.
        Interrupted: a signal came; what is written stays.
    """
    if not recipe.degradations:
        raise DataError(f"the recipe {recipe.name} has no [[degradations]]: nothing to write")
    folder = _open(source, recipe)
    kinds = chains(recipe)
    names = [folder.name(index) for index in range(len(folder))]
    triples = Triples(out, names, _splits(folder, recipe, by_splits), tuple(kinds))
    triples.refuse_namesakes()
    _refuse_place(source, out)
    interruption = Interruption()
    with locked(out, LOCK), listening(interruption):
        note = Note(out / degraded_note.NAME, folder, recipe, names, triples.splits)
        note.begin()
        files.sweep(out)
        missing = triples.missing(with_masks=bool(note.has_masks))
        before = len(names) - len(missing)
        if before and missing:
            say(f"{out}: {before:,} of {len(names):,} pictures are there already")
        work = _Work(folder, kinds, recipe.seed, triples, interruption)
        try:
            failed = work.damage(missing, note.left_out)
            there = [index for index, name in enumerate(names) if name not in failed]
            note.has_masks = work.complete_masks(there)
        finally:
            note.write()
    counts = Counter(triples.splits[index] for index in there)
    return Degraded(triples.kinds, counts, len(missing) - len(failed), failed)


def chains(recipe: Recipe) -> dict[str, Chain]:
    """The degradations of a recipe by kind of damage: one chain, of kind "", for most recipes.

    A degradation with `alternatives` (degradations by name) makes a chain with each of these in its
    place; several such degradations every combination, their names joined with "_".

    Raises:
        RecipeError: two combinations have one name.
    """
    choices: list[list[tuple[str, Degradation]]] = []
    for use in recipe.degradations:
        degradation = use.build()
        alternatives = getattr(degradation, "alternatives", None) or {"": degradation}
        choices.append(list(alternatives.items()))
    found: dict[str, Chain] = {}
    for parts in product(*choices):
        kind = "_".join(name for name, _ in parts if name)
        if kind in found:
            raise RecipeError(f"the recipe {recipe.name} has two kinds of damage called {kind!r}")
        found[kind] = [degradation for _, degradation in parts]
    return found


@frozen
class _Work:
    """What is done with many pictures side by side, until a signal comes."""

    folder: Folder
    kinds: Mapping[str, Chain]
    seed: int
    triples: Triples
    interruption: Interruption

    def damage(self, missing: Sequence[int], left_out: set[str]) -> dict[str, str]:
        """Make the pictures that are missing; return why some cannot be, and keep `left_out`."""
        failed = {}
        before = len(self.folder) - len(missing)
        for index, reason in self._each(self._damage, missing, "degrading", before):
            name = self.folder.name(index)
            if reason is None:
                left_out.discard(name)
            else:
                failed[name] = reason
                left_out.add(name)
        return failed

    def complete_masks(self, there: Sequence[int]) -> bool:
        """Give every copy a mask if any has one; return whether they have."""
        bare = self.triples.without_mask(there)
        if len(bare) == len(there) * len(self.kinds):
            return False
        for _ in self._each(self.triples.write_empty_mask, bare, "writing empty masks"):
            pass
        return True

    def _damage(self, index: int) -> str | None:
        name = self.folder.name(index)
        try:
            clean = self.folder[index]["clean"]
            # Without kinds, what a run's validation draws (frx.data.Samples).
            damaged = {
                kind: damage(
                    clean,
                    chain,
                    generator(self.seed, "degrade", "fixed", name, *([kind] if kind else [])),
                )
                for kind, chain in self.kinds.items()
            }
        except (RecipeError, ValueError) as error:  # a degradation's: the picture is not for it
            reason = f"{shown(name)}: {error}"
        except FrxError as error:
            reason = str(error)
        except Exception as error:
            # Here, as what comes from another process has no traceback to find it in.
            if (sentence := culprit(error)) is None:
                raise
            raise RecipeError(sentence) from error
        else:
            try:
                self.triples.write(index, clean, damaged)
                return None
            except DataError as error:  # a full disk, though, is the end of all
                reason = str(error)
        # A killed call may have begun a picture that cannot be read any more.
        self.triples.remove(index)
        return reason

    def _each(
        self, work: Callable[[T], R], items: Sequence[T], label: str, before: int = 0
    ) -> Iterator[tuple[T, R]]:
        if not items:
            return
        with (
            Progress(label, before + len(items), done=before) as progress,
            closing(in_processes(work, items)) as results,
        ):
            for item, result in zip(items, results, strict=True):
                yield item, result
                progress.advance()
                if self.interruption.number is not None:
                    raise Interrupted(
                        self.interruption.number,
                        f"stopped; what is written stays in {self.triples.out}, and the same "
                        "command goes on",
                    )


def _open(source: Path, recipe: Recipe) -> Folder:
    """The source, its pictures as the recipe would have them."""
    use = recipe.data.dataset
    size = use.setting("size")
    more: dict[str, Any] = {}
    if use.component.load() is Folder:
        more = {name: use.setting(name) for name in ("crop", "extensions", "decoding")}
    return Folder(path=str(source), size="own" if size is None else size, **more)


def _splits(folder: Folder, recipe: Recipe, by_splits: bool) -> list[str]:
    """The split of each picture, "" for none."""
    found = folder.splits()
    if by_splits:
        found = {name: part.indices for name, part in split(recipe.data, folder).items()}
    splits = [""] * len(folder)
    for name, indices in found.items():
        for index in indices:
            splits[index] = name
    return splits


def _refuse_place(source: Path, out: Path) -> None:
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source)):
        raise DataError(f"{shown(out)} lies in {shown(source)}; choose a folder outside it with -o")
    found = holds_triples(out)
    if found and not (out / degraded_note.NAME).exists():
        raise DataError(
            f"{shown(found)} has files already, and no {degraded_note.NAME} says how they were "
            "made; choose another folder with -o"
        )
