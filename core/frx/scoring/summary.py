"""What `scores.json` and `scores.csv` say of a set's scores."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from frx.errors import RecipeError
from frx.scoring import intervals
from frx.scoring.classical import NamedBaseline
from frx.scoring.scores import REGIONS, NamedMetric, SetScores, mean

Means = dict[str, float]  # by what was scored: "input", "restored", a baseline


def summary(
    scores: Mapping[str, SetScores],
    metrics: Sequence[NamedMetric],
    baselines: Sequence[NamedBaseline] = (),
) -> dict[str, Any]:
    """The content of `scores.json`."""
    return {
        "interval": intervals.METHOD,
        **({"baselines": {b.name: b.table for b in baselines}} if baselines else {}),
        "sets": {
            name: {
                "images": len(of_set.images),
                **({"groups": len(set(of_set.groups))} if of_set.groups is not None else {}),
                "unreadable": of_set.bad,
                **_scores_summary(of_set, metrics, baselines),
                **_thresholds_summary(of_set, metrics),
            }
            for name, of_set in scores.items()
        },
    }


def _scores_summary(
    of_set: SetScores, metrics: Sequence[NamedMetric], baselines: Sequence[NamedBaseline]
) -> dict[str, Any]:
    """Each metric's scores of the input and the network and, apart from these, of each baseline."""
    found: dict[str, Any] = {}
    classical: dict[str, dict[str, Any]] = {baseline.name: {} for baseline in baselines}
    for metric in metrics:
        found[metric.name] = {
            "higher_is_better": bool(metric.metric.higher_is_better),
            "protocol": metric.metric.protocol,
        }
        try:
            regions = _means(of_set, metric)
        except (RecipeError, ValueError) as error:
            why = str(error).removeprefix(f"metric {metric.name}: ")
            found[metric.name]["not_measured"] = why
            continue
        for region, means in regions.items():
            if not math.isnan(means.get("restored", math.nan)):
                found[metric.name][region] = _column(of_set, metric, region, means, "restored")
            for name, of_metric in classical.items():
                if not math.isnan(means.get(name, math.nan)):
                    column = _column(of_set, metric, region, means, name)
                    of_metric.setdefault(metric.name, {})[region] = column
    return {"metrics": found, **({"baselines": classical} if baselines else {})}


def _means(of_set: SetScores, metric: NamedMetric) -> dict[str, Means]:
    """The score of everything scored, by region; one of a whole set may raise."""
    if metric.judges_set:
        counted = {what: t for (name, what), t in of_set.tallies.items() if name == metric.name}
        return {"whole": {what: float(tally.value()) for what, tally in counted.items()}}
    regions: dict[str, Means] = {region: {} for region in REGIONS}
    for (name, region, what), values in of_set.values.items():
        if name == metric.name:
            regions[region][what] = mean(values)
    return regions


def _column(
    of_set: SetScores, metric: NamedMetric, region: str, means: Means, what: str
) -> dict[str, Any]:
    """A score, its gain over the input's and their intervals; the network's with the input's."""
    made = of_set.values.get((metric.name, region, what), [])
    given = of_set.values.get((metric.name, region, "input"), [math.nan] * len(made))
    before, after = means.get("input", math.nan), means[what]
    gains = [metric.gain(*pair) for pair in zip(given, made, strict=True)]
    numbers = {"score": (after, made), "gain": (metric.gain(before, after), gains)}
    if what == "restored":
        numbers = {"input": (before, given), "restored": (after, made), "gain": numbers["gain"]}
    found: dict[str, Any] = {}
    interval = {}
    for name, (number, values) in numbers.items():
        if not math.isnan(number):
            found[name] = number
            if ends := intervals.mean_interval(values, of_set.groups):
                interval[name] = ends
    return {**found, **({"interval": interval} if interval else {})}


def _thresholds_summary(of_set: SetScores, metrics: Sequence[NamedMetric]) -> dict[str, Any]:
    """The metrics of masks by threshold, and the best threshold by the first of these metrics."""
    curves: dict[str, dict[float, float]] = {}
    for (name, threshold), values in of_set.swept.items():
        if not math.isnan(value := mean(values)):
            curves.setdefault(name, {})[threshold] = value
    judges = [metric for metric in metrics if metric.name in curves]
    if not judges:
        return {}
    curve = curves[judges[0].name]
    sign = 1 if judges[0].metric.higher_is_better else -1
    best = max(curve, key=lambda threshold: sign * curve[threshold])
    return {
        "mask_thresholds": {
            "best": {"threshold": best, "by": judges[0].name, "value": curve[best]},
            **{
                name: {f"{t:g}": value for t, value in curve.items()}
                for name, curve in curves.items()
            },
        }
    }


def lines(
    scores: Mapping[str, SetScores],
    metrics: Sequence[NamedMetric],
    baselines: Sequence[NamedBaseline] = (),
) -> str:
    """`scores.csv`: a line an image, metric and region; empty where there is no number."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    names = [baseline.name for baseline in baselines]
    writer.writerow(["set", "image", "metric", "region", "input", "restored", "gain", *names])
    by_name = {metric.name: metric for metric in metrics}
    for name, of_set in scores.items():
        for (metric, region, what), values in of_set.values.items():
            if what != "restored":
                continue
            none = [math.nan] * len(values)
            given = of_set.values.get((metric, region, "input"), none)
            classical = [of_set.values.get((metric, region, label), none) for label in names]
            for image, before, after, *others in zip(
                of_set.images, given, values, *classical, strict=True
            ):
                if not math.isnan(after):
                    numbers = (before, after, by_name[metric].gain(before, after), *others)
                    writer.writerow([name, image, metric, region, *map(_text, numbers)])
    return table.getvalue()


def _text(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.6g}"
