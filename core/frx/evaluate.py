"""Scores of a restorer, each with its protocol, its region and the input's own score beside it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frx import files, images, plots
from frx.blind import THRESHOLDS, found_mask
from frx.data import Batch, Samples, batches
from frx.grids import columns, comparison
from frx.progress import Progress
from frx.scores import REGIONS, NamedMetric, SetScores, candidates, mean

BATCH = 8
PICTURES = 8

Outputs = Mapping[str, Tensor]
Restore = Callable[[Mapping[str, Tensor]], Outputs]
Keep = Callable[[str, Batch, Outputs], None]


@torch.no_grad()
def score(
    restore: Restore,
    samples: Samples,
    metrics: Sequence[NamedMetric],
    label: str,
    device: torch.device,
    keep: Keep | None = None,
) -> SetScores:
    """Restore every sample of a set and score it, and its input, against the clean image.

    `keep` is handed the set's name, every batch and what became of it.
    """
    scores = SetScores()
    indices = samples.subset.indices
    size = BATCH if samples.subset.same_size else 1
    with Progress(f"scoring {label}", len(indices)) as progress:
        for batch in batches(samples, indices, size, device):
            scores.bad |= dict(batch.bad)
            progress.advance(batch.size + len(batch.bad))
            if not batch.size:
                continue
            outputs = restore(batch)
            scores.add(batch, candidates(batch, outputs), metrics)
            if "mask" in outputs:
                found = {threshold: found_mask(outputs, threshold) for threshold in THRESHOLDS}
                scores.sweep(batch, found, metrics)
            if keep is not None:
                keep(label, batch, outputs)
            shown = columns(batch, outputs)
            for number in range(min(batch.size, PICTURES - len(scores.pictures))):
                scores.pictures.append({name: image[number].cpu() for name, image in shown.items()})
    return scores


def score_sets(
    restore: Restore,
    sets: Mapping[str, Samples],
    metrics: Sequence[NamedMetric],
    device: torch.device,
    keep: Keep | None = None,
) -> dict[str, SetScores]:
    """Score several sets, by name."""
    return {name: score(restore, made, metrics, name, device, keep) for name, made in sets.items()}


def summary(scores: Mapping[str, SetScores], metrics: Sequence[NamedMetric]) -> dict[str, Any]:
    """The content of `scores.json`."""
    return {
        "sets": {
            name: {
                "images": len(of_set.images),
                "unreadable": of_set.bad,
                "metrics": {m.name: _metric_summary(of_set, m) for m in metrics},
                **_thresholds_summary(of_set, metrics),
            }
            for name, of_set in scores.items()
        }
    }


def _metric_summary(of_set: SetScores, metric: NamedMetric) -> dict[str, Any]:
    regions: dict[str, Any] = {}
    for region in REGIONS:
        given = of_set.mean(metric.name, region, "input")
        restored = of_set.mean(metric.name, region, "restored")
        if not math.isnan(restored):
            regions[region] = {"restored": restored}
            if not math.isnan(given):
                regions[region] |= {"input": given, "gain": metric.gain(given, restored)}
    return {
        "higher_is_better": bool(metric.metric.higher_is_better),
        "protocol": metric.metric.protocol,
        **regions,
    }


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


def write(
    folder: Path, scores: Mapping[str, SetScores], metrics: Sequence[NamedMetric]
) -> dict[str, Any]:
    """Write `scores.json`, `scores.csv` and pictures of each set; return the summary.

    The pictures are `samples/SET.png` and, where a network found the damage,
    `mask_thresholds-SET.png`.
    """
    found = summary(scores, metrics)
    files.write(folder / "scores.json", json.dumps(found, indent=2))
    files.write(folder / "scores.csv", _table(scores))
    for name, of_set in scores.items():
        if of_set.pictures:
            grid = comparison(of_set.pictures)
            images.write(folder / "samples" / f"{name}.png", grid)
        if "mask_thresholds" in found["sets"][name]:
            plots.draw_thresholds(
                found["sets"][name]["mask_thresholds"], folder / f"mask_thresholds-{name}.png"
            )
    return found


def _table(scores: Mapping[str, SetScores]) -> str:
    """A line an image, metric and region; "input" is empty where an input has no score."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["set", "image", "metric", "region", "input", "restored"])
    for name, of_set in scores.items():
        for (metric, region, what), values in of_set.values.items():
            if what != "restored":
                continue
            given = of_set.values.get((metric, region, "input"), [math.nan] * len(values))
            for image, before, after in zip(of_set.images, given, values, strict=True):
                if not math.isnan(after):
                    numbers = ("" if math.isnan(before) else f"{before:.6g}", f"{after:.6g}")
                    writer.writerow([name, image, metric, region, *numbers])
    return table.getvalue()
