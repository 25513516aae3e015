"""`frx degrade`: the damaged set of a recipe, written to disk, the same bits every time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from attrs import frozen

from frx import images
from frx.damage import damage
from frx.datasets.folder import Folder
from frx.errors import DataError, FrxError, RecipeError
from frx.images import Picture, shown
from frx.progress import Progress, track
from frx.randomness import generator
from frx.recipe import Recipe
from frx.specs import Degradation

Chain = Sequence[Degradation]


def degrade(source: Path, out: Path, recipe: Recipe) -> dict[str, str]:
    """Damage every image of a folder as `recipe` does outside training.

    Writes `clean/`, `corrupted/` and, where any damage is marked, `mask/` with one PNG a name each:
    the layout that the data set `paired` reads. Where the recipe has several `chains`, a clean
    picture has a damaged copy of each: `corrupted/NAME_KIND.png`. Returns what failed, by name; the
    rest is done.

    Raises:
        DataError: the folder is missing or has no image, the recipe damages nothing, or two files
            would have one name.
    """
    if not recipe.degradations:
        raise DataError(f"the recipe {recipe.name} has no [[degradations]]: nothing to write")
    folder = Folder(path=str(source), size=recipe.data.dataset.setting("size"))
    kinds = chains(recipe)
    _refuse_namesakes(folder, list(kinds))
    done: list[_Copy] = []
    failed: dict[str, str] = {}

    def one(index: int) -> list[_Copy] | str:
        try:
            return _write(folder, index, kinds, recipe.seed, out)
        except FrxError as error:
            return str(error)
        except ValueError as error:  # a degradation's own: the picture is not for it
            return f"{shown(folder.name(index))}: {error}"

    with (
        Progress("degrading", len(folder)) as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for index, result in enumerate(_each(pool, one, len(folder))):
            if isinstance(result, str):
                failed[folder.name(index)] = result
            else:
                done += result
            progress.advance()
    _complete_masks(done, out)
    return failed


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
class _Copy:
    """A damaged picture that was written: where below `corrupted/`, and whether it has a mask."""

    path: str
    is_marked: bool


def _write(
    folder: Folder, index: int, kinds: Mapping[str, Chain], seed: int, out: Path
) -> list[_Copy]:
    name = folder.name(index)
    clean = folder[index]["clean"]
    damaged = {
        # Without kinds, what a run's validation draws (frx.data.Samples): the set is the same.
        kind: damage(
            clean, chain, generator(seed, "degrade", "fixed", name, *([kind] if kind else []))
        )
        for kind, chain in kinds.items()
    }
    # PNG always: the losses of JPEG would be one more degradation, which the recipe does not name.
    images.write(out / "clean" / _png(name), clean)
    copies = []
    for kind, made in damaged.items():
        degraded, mask = made if isinstance(made, tuple) else (made, None)
        copy = _Copy(_png(name, kind), mask is not None and bool(mask.any()))
        images.write(out / "corrupted" / copy.path, degraded)
        if mask is not None and copy.is_marked:
            _write_mask(out, copy, mask)
        copies.append(copy)
    return copies


def _write_mask(out: Path, copy: _Copy, mask: Picture) -> None:
    images.write(out / "mask" / copy.path, np.repeat(mask[..., None], 3, axis=2))


def _complete_masks(copies: Sequence[_Copy], out: Path) -> None:
    """Give every copy a mask if any has one: `paired` takes masks of all or none."""
    bare = [copy for copy in copies if not copy.is_marked]
    if len(bare) == len(copies):
        return
    for copy in track(bare, label="writing empty masks"):
        size = images.read_size(out / "corrupted" / copy.path)
        _write_mask(out, copy, np.zeros(size, np.uint8))


def _each(
    pool: ThreadPoolExecutor, one: Callable[[int], list[_Copy] | str], count: int
) -> Iterator[list[_Copy] | str]:
    window = 4 * (os.cpu_count() or 1)  # a folder of any length stays out of memory
    for start in range(0, count, window):
        yield from pool.map(one, range(start, min(start + window, count)))


def _png(name: str, kind: str = "") -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}_{kind}.png" if kind else f"{path.stem}.png"))


def _refuse_namesakes(folder: Folder, kinds: Sequence[str]) -> None:
    taken: dict[str, str] = {}
    for index in range(len(folder)):
        name = folder.name(index)
        for target in (_png(name, kind) for kind in kinds):
            other = taken.setdefault(target, name)
            if other != name:
                raise DataError(
                    f"{shown(other)} and {shown(name)} would both be written "
                    f"{shown(f'corrupted/{target}')}; rename one"
                )
