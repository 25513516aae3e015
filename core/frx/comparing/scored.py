"""What runs scored, read back from their `scores.csv` and `scores.json`; needs no torch."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from frx.errors import DataError
from frx.images import shown
from frx.registry import nearest

INPUT, RESTORED = "input", "restored"
_NO_SCORES = ("set", "image", "metric", "region", "gain")  # other columns are

Key = tuple[str, str]  # metric and region
Images = dict[str, dict[str, float]]  # by name, each one's scores: "input", "restored", baselines


@frozen(eq=False)
class Scored:
    """What a run scored on one set, and by metric which way it counts and how it was measured.

    `of_set` has the metrics that judge the set as a whole; `groups` says how many groups, such as
    people, its images are of, None where nobody knows.
    """

    run: Path
    values: dict[Key, Images]
    of_set: dict[str, dict[str, float]]
    higher_is_better: dict[str, bool]
    protocols: dict[str, str]
    groups: int | None

    @property
    def images(self) -> set[str]:
        """The names of all images with a score."""
        return {name for images in self.values.values() for name in images}

    @property
    def baselines(self) -> list[str]:
        """What else was scored beside input and restored, in the order of the file."""
        every = (what for i in self.values.values() for scores in i.values() for what in scores)
        return [what for what in dict.fromkeys(every) if what not in (INPUT, RESTORED)]


def read(run: Path, evaluation: str | None = None) -> dict[str, Scored]:
    """Read what a run, or one of its evaluations, scored, by set.

    Raises:
        DataError: there is no such folder, no scores in it, or they cannot be read.
    """
    folder = folder_of(run, evaluation)
    if evaluation is not None and run.is_dir() and not (folder / "scores.csv").exists():
        there = [path.parent.name for path in run.glob("evaluations/*/scores.csv")]
        hint = f"{nearest(evaluation, there)}; `frx evaluate {shown(run)}` makes them"
        raise DataError(f"{shown(run)}: no evaluation {evaluation!r}; {hint}")
    try:
        about = json.loads((folder / "scores.json").read_bytes())["sets"]
        path = folder / "scores.csv"
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            values = _values(csv.DictReader(file))
        return {name: _scored(run, values[name], about[name]) for name in values}
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{shown(run)}: {_missing(run, Path(str(error.filename)).name)}") from None
    except (AttributeError, KeyError, TypeError, ValueError, csv.Error) as error:
        reason = str(error) or type(error).__name__
        text = f"scores.csv and scores.json cannot be read ({reason})"
        raise DataError(f"{shown(folder)}: {text}; `frx evaluate RUN` writes new ones") from error
    except OSError as error:
        raise DataError(f"{shown(folder)}: {error.strerror or error}") from error


def folder_of(run: Path, evaluation: str | None) -> Path:
    """Where the scores of a run, or of its evaluation of that name, lie."""
    return run if evaluation is None else run / "evaluations" / evaluation


def _missing(run: Path, file: str) -> str:
    if not run.is_dir():
        return "there is no such folder"
    if (run / "recipe.toml").exists():
        return f"an unfinished run, without {file}; the same `frx run` again finishes it"
    return f"no run folder, for it has no {file}"


def _scored(run: Path, values: dict[Key, Images], about: Mapping[str, Any]) -> Scored:
    """`about` is what `scores.json` has on the set."""
    metrics = about["metrics"]
    of_images = list(dict.fromkeys(metric for metric, _ in values))
    of_set = {
        metric: {what: float(found["whole"][what]) for what in (INPUT, RESTORED)}
        | {
            label: float(of_baseline[metric]["whole"]["score"])
            for label, of_baseline in about.get("baselines", {}).items()
            if metric in of_baseline
        }
        for metric, found in metrics.items()
        if metric not in of_images and INPUT in found.get("whole", {})
    }
    known = [*of_images, *of_set]
    higher_is_better = {metric: bool(metrics[metric]["higher_is_better"]) for metric in known}
    protocols = {metric: str(metrics[metric]["protocol"]) for metric in known}
    return Scored(run, values, of_set, higher_is_better, protocols, about.get("groups"))


def _values(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[Key, Images]]:
    found: dict[str, dict[Key, Images]] = {}
    for line in lines:
        images = found.setdefault(line["set"], {}).setdefault((line["metric"], line["region"]), {})
        images[line["image"]] = {
            what: score
            for what, text in line.items()
            if what not in _NO_SCORES and text and math.isfinite(score := float(text))
        }
    return found
