"""How a comparison is shown: on the terminal, as Markdown, as CSV and as a page."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen
from rich.table import Table
from rich.text import Text

from frx import files
from frx.comparing.comparison import Column, Comparison
from frx.comparing.significance import FEWEST_IMAGES
from frx.pages import template
from frx.progress import standard_output
from frx.scoring.intervals import RESAMPLES

if TYPE_CHECKING:
    from frx.comparing.faces import Section

FILES = ("compare.md", "compare.csv", "differences.csv", "compare.html")
TESTED = (
    "Tested: every two rows over the same images; the interval is of the mean difference (95 %, "
    f"bootstrap, {RESAMPLES} draws), p of Wilcoxon's signed-rank test, corrected after Holm over "
    "all pairs of a metric. The one named first is better or worse where p < 0.05 and interval and "
    "ranks agree on the direction."
)
TOO_FEW = (
    f"p is not given where fewer than {FEWEST_IMAGES} images differ: none could be below 0.05."
)
BEYOND = (
    "This is about these trained networks on such images; trained again from another seed, the "
    "same recipe may come out otherwise."
)
MARKS = "≈ is not significantly worse than the best."


VERDICT_STYLES = {"better": "green", "worse": "red", "≈": ""}


@frozen
class Pair:
    """A difference in words: "a − b", and which of both is significantly better, if any."""

    metric: str
    region: str
    images: int
    first: str
    second: str
    mean: float
    low: float
    high: float
    p: float | None
    better: str | None

    @property
    def interval(self) -> str:
        """As "+0.12 to +0.34"."""
        if math.isnan(self.low):
            return "–"
        return f"{self._shown(self.low)} to {self._shown(self.high)}"

    @property
    def shown_mean(self) -> str:
        """With as many decimals as the interval."""
        return self._shown(self.mean)

    def _shown(self, number: float) -> str:
        """Three digits of the largest of the three numbers, and as many decimals of the others."""
        numbers = (abs(number) for number in (self.mean, self.low, self.high))
        largest = max(number for number in numbers if not math.isnan(number))
        decimals = 2 - math.floor(math.log10(largest)) if largest else 2
        return f"{number:+.{min(max(decimals, 0), 9)}f}".replace("-", "−")

    @property
    def shown_p(self) -> str:
        """With three digits, down to a thousandth."""
        if self.p is None:
            return "–"
        return "< 0.001" if self.p < 0.001 else f"{self.p:.3g}"

    @property
    def verdict(self) -> str:
        """What may be said of the first of the two: "better", "worse" or "≈"."""
        if self.better is None:
            return "≈"
        return "better" if self.better == self.first else "worse"


def heading(column: Column) -> str:
    """As "psnr ↑", "psnr ↑ damaged"."""
    region = "" if column.region == "whole" else f" {column.region}"
    return f"{column.metric} {column.arrow}{region}"


def cell(column: Column, row: int) -> str:
    """A mean as a table shows it; empty where a row has no score."""
    mean = column.means[row]
    return "" if math.isnan(mean) else f"{mean:#.4g}"


def pairs(comparison: Comparison, column: Column) -> Iterator[Pair]:
    """The differences of a column, each with the lower row first."""
    for found in column.differences:
        better = column.better(found)
        yield Pair(
            column.metric,
            column.region,
            len(column.images),
            comparison.rows[found.first],
            comparison.rows[found.second],
            found.mean,
            found.low,
            found.high,
            found.p,
            None if better is None else comparison.rows[better],
        )


def shown_pairs(comparison: Comparison, column: Column) -> list[Pair]:
    """The differences of a column without those of input and baselines among themselves."""
    return [
        pair
        for found, pair in zip(column.differences, pairs(comparison, column), strict=True)
        if found.first >= comparison.first_run
    ]


def explanations(comparison: Comparison) -> list[str]:
    """What has to be said of the tables."""
    every = [pair for column in comparison.columns for pair in pairs(comparison, column)]
    if not every:
        return comparison.notes
    said = [*comparison.notes, TESTED]
    if any(pair.p is None for pair in every):
        said.append(TOO_FEW)
    return [*said, BEYOND]


def print_comparison(comparison: Comparison) -> None:
    """Print means and differences on standard output."""
    console = standard_output()
    table = Table(title=_title(comparison), title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for column in comparison.columns:
        region = "" if column.region == "whole" else f"\n{column.region}"
        table.add_column(
            f"{column.metric} {column.arrow}{region}", justify="right", overflow="fold"
        )
    for row, label in enumerate(comparison.rows):
        if row == comparison.first_run and row:
            table.add_section()
        cells = []
        for column in comparison.columns:
            mark = column.mark(row)
            text = f"{cell(column, row)} {'*' if mark == 'best' else mark or ' '}"
            cells.append(Text(text, "bold" if mark == "best" else ""))
        table.add_row(Text(label), *cells)
    console.print(table)
    console.print(f"* is the best of its column; {MARKS}")
    tests = Table()
    for name in ("metric", "difference", "mean", "95 % interval", "p", ""):
        right = name in ("mean", "95 % interval", "p")
        tests.add_column(name, justify="right" if right else "left", overflow="fold")
    for column in comparison.columns:
        for pair in shown_pairs(comparison, column):
            verdict = Text(pair.verdict, VERDICT_STYLES[pair.verdict])
            texts = (heading(column), f"{pair.first} − {pair.second}", pair.shown_mean)
            tests.add_row(*map(Text, texts), pair.interval, pair.shown_p, verdict)
        tests.add_section()
    if tests.row_count:
        console.print(tests)
    for text in explanations(comparison):
        console.print(text, markup=False, soft_wrap=True)


def _title(comparison: Comparison) -> str:
    number = comparison.images
    return f"{comparison.set}: {number} image{'s' if number != 1 else ''}"


def write(
    folder: Path, comparison: Comparison, sections: Sequence[Section], missing: str | None
) -> None:
    """Write `FILES`; `sections` are of `frx.compare_faces`, `missing` says why there are none.

    Raises:
        ResourceError: the disk is full or not writable.
    """
    texts = (
        markdown(comparison),
        _csv(_mean_lines(comparison)),
        _csv(_difference_lines(comparison)),
        page(comparison, sections, missing),
    )
    for name, text in zip(FILES, texts, strict=True):
        # A folder's name may hold bytes that UTF-8 has no letters for.
        files.write(folder / name, text.encode("utf-8", "backslashreplace"))


def markdown(comparison: Comparison) -> str:
    """The tables as GitHub renders them."""
    columns = comparison.columns
    means = [["", *map(heading, columns)]]
    for row, label in enumerate(comparison.rows):
        cells = [(cell(column, row), column.mark(row)) for column in columns]
        means.append(
            [
                _escaped(label),
                *(f"**{text}**" if mark == "best" else f"{mark} {text}" for text, mark in cells),
            ]
        )
    parts = [
        f"### {_escaped(_title(comparison))}",
        _markdown_table(means, "l" + "r" * len(columns)),
    ]
    parts.append(f"Bold is the best of its column; {MARKS}")
    tests = [["metric", "difference", "mean", "95 % interval", "p", ""]]
    for column in columns:
        for pair in shown_pairs(comparison, column):
            between = f"{_escaped(pair.first)} − {_escaped(pair.second)}"
            numbers = (pair.shown_mean, pair.interval, _escaped(pair.shown_p))
            tests.append([heading(column), between, *numbers, _escaped(pair.verdict)])
    if tests[1:]:
        parts.append(_markdown_table(tests, "llrrrl"))
    parts += map(_escaped, explanations(comparison))
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Sequence[str]], sides: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in sides]
    lines = (" | ".join(text.strip() for text in row) for row in (rows[0], rule, *rows[1:]))
    return "\n".join(f"| {line} |" for line in lines)


def _escaped(text: str) -> str:
    """With a backslash before what Markdown would read; an underscore within a word may stay."""
    return re.sub(r"([\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)


def _mean_lines(comparison: Comparison) -> Iterator[Sequence[object]]:
    yield ("set", "metric", "region", "run", "images", "mean", "mark")
    for column in comparison.columns:
        for row, label in enumerate(comparison.rows):
            if not math.isnan(mean := column.means[row]):
                about = (
                    comparison.set,
                    column.metric,
                    column.region,
                    label,
                    len(column.images) or comparison.images,
                )
                yield (*about, f"{mean:.6g}", column.mark(row))


def _difference_lines(comparison: Comparison) -> Iterator[Sequence[object]]:
    names = ("first", "second", "images", "difference", "low", "high", "p", "better")
    yield ("set", "metric", "region", *names)
    for column in comparison.columns:
        for pair in pairs(comparison, column):
            about = (comparison.set, pair.metric, pair.region, pair.first, pair.second, pair.images)
            numbers = (f"{number:.6g}" for number in (pair.mean, pair.low, pair.high))
            p = "" if pair.p is None else f"{pair.p:.6g}"
            yield (*about, *numbers, p, pair.better or "")


def _csv(lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()


def page(comparison: Comparison, sections: Sequence[Section], missing: str | None) -> str:
    """The page: one file that needs no network, every text escaped."""
    columns = comparison.columns
    return template("frx.comparing", "page.html").render(
        title=_title(comparison),
        comparison=comparison,
        headings=[heading(column) for column in columns],
        rows=[
            (label, [(cell(column, row), column.mark(row)) for column in columns])
            for row, label in enumerate(comparison.rows)
        ],
        tests=[
            (heading(column), found)
            for column in columns
            if (found := shown_pairs(comparison, column))
        ],
        marks=MARKS,
        explanations=explanations(comparison),
        protocols={column.metric: column.protocol for column in columns},
        sections=sections,
        missing=missing,
    )
