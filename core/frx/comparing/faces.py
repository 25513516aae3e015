"""The faces on which runs differ most, made anew by each of them, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from attrs import evolve, frozen

from frx import encoding, images
from frx.comparing.comparison import Column, Comparison
from frx.comparing.scored import INPUT
from frx.data import Samples, open_sets
from frx.errors import DataError
from frx.grids import to_pixels
from frx.images import Picture, shown
from frx.lifecycle import build_hooks, dataset_maker, plugin_manager
from frx.loader import Batch, Loader
from frx.model_folder import Restorer
from frx.pages import embedded
from frx.recipe import Recipe, load
from frx.scoring.scores import NamedMetric

MAX_SIDE_PX = 256
# Between devices and number formats; another draw of damage is further off.
SAME_SCORE = 1e-3


@frozen
class Shot:
    """One picture of a face: its caption, its scores, a data URI, and its width in pixels."""

    caption: str
    scores: tuple[str, ...]
    best: bool
    data: str
    width: int


@frozen
class Face:
    """A face in all its pictures, and what chose it."""

    name: str
    about: str
    shots: tuple[Shot, ...]


@frozen
class Section:
    """Faces that have something in common."""

    title: str
    about: str
    faces: tuple[Face, ...]


@frozen
class _Choice:
    """Faces chosen by their scores: numbers in the first column's images, each with a reason."""

    title: str
    about: str
    chosen: tuple[tuple[int, str], ...]


def sections(comparison: Comparison, count: int, device: torch.device) -> list[Section]:
    """Choose at most `count` faces of either kind by the first column, and have them restored.

    Of several runs, those where the best on average loses most to the last, and where it wins most;
    of one run, its worst and its best. The pictures are made from the first run's recipe.

    Raises:
        FrxError: data or models are not there any more, or no longer give what was scored.
    """
    if (column := comparison.leading) is None:
        metrics = ", ".join(column.metric for column in comparison.columns)
        raise DataError(f"{metrics}: no scores of single images, by which to choose them")
    choose = _extremes if len(comparison.runs) == 1 else _duel
    choices = choose(comparison, column, count)
    numbers = sorted({number for choice in choices for number, _ in choice.chosen})
    pictures = _pictures(comparison, [column.images[number] for number in numbers], device)
    beside = [other for other in comparison.columns if other.region == column.region]
    columns = [other for other in beside if other.images]
    return [
        Section(
            choice.title,
            choice.about,
            tuple(
                Face(name, about, _shots(comparison, columns, name, pictures[name]))
                for number, about in choice.chosen
                for name in (column.images[number],)
            ),
        )
        for choice in choices
    ]


def _extremes(comparison: Comparison, column: Column, count: int) -> list[_Choice]:
    """A single run's worst faces, then its best, no face in both."""
    run = comparison.rows[-1]
    scores = column.scores[:, -1] if column.higher_is_better else -column.scores[:, -1]
    order = np.argsort(scores, kind="stable").tolist()
    worst = order[: min(count, -(-len(order) // 2))]
    best = order[::-1][: min(count, len(order) - len(worst))]
    about = f"By {column.metric}, of {len(order)} faces."
    return [
        _Choice(f"Worst faces of {run}", about, tuple((number, "") for number in worst)),
        _Choice(f"Best faces of {run}", about, tuple((number, "") for number in best)),
    ]


def _duel(comparison: Comparison, column: Column, count: int) -> list[_Choice]:
    """Where the run with the best mean loses most to that with the worst, and wins most."""
    sign = 1 if column.higher_is_better else -1
    ranked = sorted(range(comparison.first_run, len(comparison.rows)), key=column.means.__getitem__)
    last, best = ranked[::sign][0], ranked[::sign][-1]
    raw = column.scores[:, best] - column.scores[:, last]
    lead = sign * raw
    order = np.argsort(lead, kind="stable").tolist()
    losses = [number for number in order if lead[number] < 0]
    wins = [number for number in reversed(order) if lead[number] > 0]
    first, other = comparison.rows[best], comparison.rows[last]

    def choice(title: str, winner: str, found: Sequence[int]) -> _Choice:
        about = f"On {len(found)} of {len(order)} faces {winner} has the better {column.metric}" + (
            f"; these are the {count} where it is ahead most." if len(found) > count else "."
        )
        reasons = (
            (number, f"{first} − {other}: {raw[number]:+.3g} {column.metric}".replace("-", "−"))
            for number in found[:count]
        )
        return _Choice(title, about, tuple(reasons))

    return [
        choice(f"Where {first} loses most to {other}", other, losses),
        choice(f"Where {first} wins most over {other}", first, wins),
    ]


def _shots(
    comparison: Comparison, columns: Sequence[Column], name: str, pictures: Sequence[Picture]
) -> tuple[Shot, ...]:
    """Damaged, then each run's own, then clean; "best" by the first column among the runs."""
    first, runs = columns[0], range(comparison.first_run, len(comparison.rows))
    own = first.scores[first.images.index(name)] * (1 if first.higher_is_better else -1)
    highest = max(own[row] for row in runs)
    rows = (0 if comparison.rows[0] == INPUT else None, *runs, None)
    captions = ("damaged", *(comparison.rows[row] for row in runs), "clean")
    return tuple(
        Shot(
            caption,
            () if row is None else _scores(columns, name, row),
            row in runs and len(runs) > 1 and own[row] == highest,
            *_embedded(picture),
        )
        for caption, row, picture in zip(captions, rows, pictures, strict=True)
    )


def _scores(columns: Sequence[Column], name: str, row: int) -> tuple[str, ...]:
    found = (
        (column.metric, column.scores[column.images.index(name), row])
        for column in columns
        if name in column.images
    )
    return tuple(f"{metric} {score:#.4g}" for metric, score in found if not math.isnan(score))


def _embedded(picture: Picture) -> tuple[str, int]:
    """A picture as a data URI, and its width; shrunk where it is larger than `MAX_SIDE_PX`."""
    small = images.within(picture, MAX_SIDE_PX)
    return embedded(encoding.png(small), "png"), small.shape[1]


def _pictures(
    comparison: Comparison, names: Sequence[str], device: torch.device
) -> dict[str, list[Picture]]:
    """By face: damaged, what each run makes of it, clean."""
    found = _damaged(comparison, names, device)
    pictures = {name: [to_pixels(batch["degraded"])] for name, batch in found.items()}
    for run in comparison.runs:
        compute = load(run / "recipe.toml", kinds=()).compute
        restorer = Restorer.open(run, device, compute)
        for name, batch in found.items():
            pictures[name].append(to_pixels(restorer(batch)["image"]))
    for name, batch in found.items():
        pictures[name].append(to_pixels(batch["clean"]))
    return pictures


def _damaged(
    comparison: Comparison, names: Sequence[str], device: torch.device
) -> dict[str, Batch]:
    """The images by name, each in a batch of its own, damaged as the first run's recipe does."""
    first = comparison.runs[0]
    if not comparison.recipe.exists():
        raise DataError(f"{shown(first)} holds scores, but no run that could restore anything")
    recipe = load(comparison.recipe)
    sets = open_sets(recipe, dataset_maker(plugin_manager(build_hooks(recipe.hooks))))
    if comparison.set not in sets:
        raise DataError(f"{shown(comparison.recipe)} has no set {comparison.set!r}")
    subset = evolve(sets[comparison.set], on_bad="error", workers=0)
    numbers = {subset.dataset.name(index): index for index in subset.indices.tolist()}
    for name in names:
        if name not in numbers:
            raise DataError(f"{shown(name)} is no longer in the set {comparison.set}")
    samples = Samples(subset, recipe.seed, [use.build() for use in recipe.degradations])
    indices = np.array([numbers[name] for name in names], np.int64)
    found = {batch.names[0]: batch for batch in Loader(samples, device).batches(indices, 1)}
    _require_as_scored(comparison, recipe, found, device)
    return found


def _require_as_scored(
    comparison: Comparison, recipe: Recipe, found: Mapping[str, Batch], device: torch.device
) -> None:
    """Measure the input again by one of the metrics: the page must show what was scored."""
    columns = {
        column.metric: column
        for column in comparison.columns
        if column.images and column.region == "whole" and not math.isnan(column.means[0])
    }
    uses = [use for use in recipe.metrics if use.name in columns][:1]
    if comparison.rows[0] != INPUT or not uses:
        return
    (metric,) = NamedMetric.build(uses, device)
    column = columns[metric.name]
    for name, batch in found.items():
        (now,) = metric({"restored": batch["degraded"]}, batch)
        then = column.scores[column.images.index(name), 0] if name in column.images else now
        if not math.isclose(now, then, rel_tol=SAME_SCORE, abs_tol=1e-6):
            raise DataError(
                f"{shown(comparison.recipe)} does not damage {shown(name)} as it was when it was "
                f"scored: the input's {metric.name} is {now:.4g} and was {then:.4g}"
            )
