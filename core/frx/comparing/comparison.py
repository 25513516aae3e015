"""Runs side by side: their scores over the same images, and which differ significantly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from attrs import Factory, evolve, frozen

from frx.comparing import comparable, scored
from frx.comparing.scored import INPUT, RESTORED, Key, Scored
from frx.comparing.significance import Difference, Scores, corrected, differences
from frx.errors import DataError, RecipeError
from frx.images import shown
from frx.registry import nearest


@frozen(eq=False)
class Column:
    """The scores of one metric and region: `scores` is [images, rows], NaN where a row has none.

    A metric of whole sets has no `images` and one line of scores.
    """

    metric: str
    region: str
    higher_is_better: bool
    protocol: str
    images: tuple[str, ...]
    scores: Scores
    differences: list[Difference] = Factory(list)

    @property
    def arrow(self) -> str:
        """Which way the metric counts."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def means(self) -> list[float]:
        """The mean of each row; NaN where it has no score of some image."""
        return [float(mean) for mean in self.scores.mean(axis=0)]

    @property
    def best(self) -> int | None:
        """The row with the best mean, if there are several and their difference can be tested."""
        if not self.images:
            return None
        sign = 1 if self.higher_is_better else -1
        means = {row: sign * mean for row, mean in enumerate(self.means) if not math.isnan(mean)}
        return max(means, key=means.__getitem__) if len(means) > 1 else None

    def better(self, difference: Difference) -> int | None:
        """Which of two rows is significantly better; None where neither is."""
        if not difference.significant:
            return None
        first_is = (difference.mean > 0) == self.higher_is_better
        return difference.first if first_is else difference.second

    def mark(self, row: int) -> str:
        """The word "best", "≈" for a row that is not significantly worse than that, or nothing."""
        if self.best is None or math.isnan(self.means[row]):
            return ""
        if row == self.best:
            return "best"
        (between,) = (d for d in self.differences if {d.first, d.second} == {row, self.best})
        return "" if self.better(between) == self.best else "≈"


@frozen(eq=False)
class Comparison:
    """Scores of several runs over the same images of a set: a table of `rows` and `columns`.

    The rows are "input", the baselines, and from `first_run` on the runs. `recipe` is the file
    that says how the first run's scores were made.
    """

    set: str
    runs: tuple[Path, ...]
    rows: tuple[str, ...]
    columns: list[Column]
    images: int
    notes: list[str]
    recipe: Path

    @property
    def first_run(self) -> int:
        """The row of the first run."""
        return len(self.rows) - len(self.runs)

    @property
    def leading(self) -> Column | None:
        """The first column with scores of single images."""
        return next((column for column in self.columns if column.images), None)


def compare(
    runs: Sequence[Path],
    set_name: str | None = None,
    metrics: Sequence[str] = (),
    evaluation: str | None = None,
) -> Comparison:
    """Compare what runs, or their evaluations of that name, scored over the images they share.

    Without `set_name` the set is "test", or the only one that all have; without `metrics` all that
    all have are compared.

    Raises:
        DataError: a folder has no scores; the runs have no image or metric in common, or the same
            images but not the same damage.
        RecipeError: a run lacks the set or metric asked for, or is given twice.
    """
    if len({run.resolve() for run in runs}) < len(runs):
        raise RecipeError("a run is given twice: name each once")
    tables = {run: scored.read(run, evaluation) for run in runs}
    name = comparable.choose_set(tables, set_name)
    found = [table[name] for table in tables.values()]
    notes: list[str] = []
    keys = comparable.common_keys(found, notes)
    common, keys = comparable.common_images(found, name, keys, notes)
    for other in found[1:]:
        comparable.require_same_damage(found[0], other, keys, name)
    references = [INPUT, *comparable.common_baselines(found, keys, notes)]
    columns = [_column(found, key, references) for key in _chosen(keys, metrics)]
    columns = [column for column in columns if len(column.scores)]
    if not columns:
        raise DataError(f"no image of {name} has a score of every run; {comparable.WAY_OUT}")
    present = [
        row
        for row in range(len(references) + len(runs))
        if not all(math.isnan(column.means[row]) for column in columns)
    ]
    labels = [*references, *_labels(runs, references)]
    columns = [evolve(column, scores=column.scores[:, present]) for column in columns]
    notes += _remarks(columns, common, found[0].groups)
    rows = tuple(labels[row] for row in present)
    recipe = scored.folder_of(runs[0], evaluation) / "recipe.toml"
    if not recipe.exists():
        recipe = runs[0] / "recipe.toml"
    return Comparison(name, tuple(runs), rows, _tested(columns), common, notes, recipe)


def _remarks(columns: Sequence[Column], images: int, groups: int | None) -> list[str]:
    remarks = [
        f"{column.metric} {column.region} is over {len(column.images)} images, those that have it."
        for column in columns
        if 0 < len(column.images) < images
    ]
    if of_set := ", ".join(column.metric for column in columns if not column.images):
        remarks.append(f"{of_set}: of the whole set, so no difference can be tested.")
    if groups is not None and groups < images:
        remarks.append(
            f"The images are of {groups} groups, such as people, and those of one group are alike: "
            "intervals are too narrow here and p too small."
        )
    return remarks


def _chosen(keys: Sequence[Key], metrics: Sequence[str]) -> list[Key]:
    known = list(dict.fromkeys(metric for metric, _ in keys))
    for metric in metrics:
        if metric not in known:
            hint = nearest(metric, known)
            raise RecipeError(f"--metric {metric}: not a metric that every run has; {hint}")
    wanted = dict.fromkeys(metrics or known)
    return [key for metric in wanted for key in keys if key[0] == metric]


def _labels(runs: Sequence[Path], taken: Sequence[str]) -> list[str]:
    """The folders' names, or their paths where two rows would have one name."""
    names = [run.resolve().name for run in runs]
    if len({*names, *taken}) < len(names) + len(taken):
        names = [str(run) for run in runs]
    return [shown(name) for name in names]


def _column(found: Sequence[Scored], key: Key, references: Sequence[str]) -> Column:
    first = found[0]
    higher, protocol = first.higher_is_better[key[0]], first.protocols[key[0]]
    if key not in first.values:
        line = [first.of_set[key[0]].get(what, math.nan) for what in references]
        line += [each.of_set[key[0]][RESTORED] for each in found]
        return Column(*key, higher, protocol, (), np.array([line], np.float64))
    images = tuple(
        name
        for name in first.values[key]
        if all(RESTORED in each.values[key].get(name, {}) for each in found)
    )
    table = [
        [first.values[key][name].get(what, math.nan) for what in references]
        + [each.values[key][name][RESTORED] for each in found]
        for name in images
    ]
    scores = np.array(table, np.float64).reshape(len(images), len(references) + len(found))
    return Column(*key, higher, protocol, images, scores)


def _tested(columns: Sequence[Column]) -> list[Column]:
    """The columns with their differences, corrected over all regions of a metric."""
    tested: list[Column] = []
    for metric in dict.fromkeys(column.metric for column in columns):
        family = [column for column in columns if column.metric == metric]
        found = corrected([differences(c.scores) if c.images else [] for c in family])
        tested += [evolve(c, differences=d) for c, d in zip(family, found, strict=True)]
    return tested
