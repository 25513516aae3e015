"""Scores of a restorer, each with its protocol, its region and the input's own score beside it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import Factory, define, frozen
from torch import Tensor, nn

from frx import files, images
from frx.build import Use, call, wants
from frx.data import Batch, Samples, batches
from frx.grids import columns, comparison
from frx.progress import Progress

BATCH = 8
PICTURES = 8
REGIONS = ("whole", "damaged", "undamaged")

Restore = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


@frozen(eq=False)
class NamedMetric:
    """A metric as a recipe names it."""

    name: str
    metric: Any

    @classmethod
    def build(cls, uses: Iterable[Use], device: torch.device) -> list[NamedMetric]:
        """Make the metrics; one that is a network goes to the device."""
        built = []
        for use in uses:
            metric = use.build()
            if isinstance(metric, nn.Module):
                metric.to(device).eval()
            built.append(cls(use.name, metric))
        return built

    @property
    def by_region(self) -> bool:
        """Whether it can be limited to a part of the image."""
        return wants(self.metric, "region")

    def gain(self, before: float, after: float) -> float:
        """How much better `after` is, whichever way the metric counts."""
        return after - before if self.metric.higher_is_better else before - after

    def __call__(self, restored: Tensor, batch: Batch, region: Tensor | None) -> list[float]:
        """One number an image; NaN where the region is empty."""
        data = {**batch, "restored": restored.clamp(0, 1)}
        if region is not None:
            if not region.any():
                return [math.nan] * batch.size
            data["region"] = region
        values: Tensor = call(self.metric, data)
        return [float(value) for value in values.flatten().tolist()]


@define(eq=False)
class SetScores:
    """Every image's scores on one set."""

    images: list[str] = Factory(list)
    values: dict[tuple[str, str, str], list[float]] = Factory(dict)
    pictures: list[dict[str, Tensor]] = Factory(list)
    bad: dict[str, str] = Factory(dict)

    def add(
        self, batch: Batch, candidates: Mapping[str, Tensor], metrics: Iterable[NamedMetric]
    ) -> None:
        """Score a batch's candidates, such as "input" and "restored", against its clean images."""
        self.images += batch.names
        for metric in metrics:
            for region, mask in _regions(batch, metric).items():
                for what, image in candidates.items():
                    scores = self.values.setdefault((metric.name, region, what), [])
                    scores.extend(metric(image, batch, mask))

    def mean(self, metric: str, region: str, what: str) -> float:
        """The mean over the images that have such a region."""
        values = [v for v in self.values.get((metric, region, what), []) if not math.isnan(v)]
        return sum(values) / len(values) if values else math.nan

    def means(self, what: str) -> dict[str, float]:
        """The mean of each metric by region, such as "ssim damaged"; not over what was whole."""
        named = {
            f"{metric} {region}": self.mean(metric, region, what)
            for metric, region, _ in self.values
            if region != "undamaged"
        }
        return {name: mean for name, mean in named.items() if not math.isnan(mean)}


@torch.no_grad()
def score(
    restore: Restore,
    samples: Samples,
    metrics: Sequence[NamedMetric],
    label: str,
    device: torch.device,
) -> SetScores:
    """Restore every sample of a set and score it, and its input, against the clean image."""
    found = SetScores()
    indices = samples.subset.indices
    size = BATCH if samples.subset.same_size else 1
    with Progress(f"scoring {label}", len(indices)) as progress:
        for batch in batches(samples, indices, size, device):
            found.bad |= dict(batch.bad)
            progress.advance(batch.size + len(batch.bad))
            if not batch.size:
                continue
            outputs = restore(batch)
            candidates = {"input": batch["degraded"], "restored": outputs["image"]}
            found.add(batch, candidates, metrics)
            shown = columns(batch, outputs)
            for number in range(min(batch.size, PICTURES - len(found.pictures))):
                found.pictures.append({name: image[number].cpu() for name, image in shown.items()})
    return found


def score_sets(
    restore: Restore,
    sets: Mapping[str, Samples],
    metrics: Sequence[NamedMetric],
    device: torch.device,
) -> dict[str, SetScores]:
    """Score several sets, by name."""
    return {name: score(restore, made, metrics, name, device) for name, made in sets.items()}


def _regions(batch: Batch, metric: NamedMetric) -> dict[str, Tensor | None]:
    """The regions to score: the whole image and, in images with marked damage, both its sides."""
    if not metric.by_region:
        return {"whole": None}
    mask = batch["mask"]
    return {"whole": None, "damaged": mask, "undamaged": (1 - mask) * mask.amax((1, 2, 3), True)}


def summary(scores: Mapping[str, SetScores], metrics: Sequence[NamedMetric]) -> dict[str, Any]:
    """The content of `scores.json`."""
    return {
        "sets": {
            name: {
                "images": len(found.images),
                "unreadable": found.bad,
                "metrics": {m.name: _metric_summary(found, m) for m in metrics},
            }
            for name, found in scores.items()
        }
    }


def _metric_summary(found: SetScores, metric: NamedMetric) -> dict[str, Any]:
    regions: dict[str, Any] = {}
    for region in REGIONS:
        given = found.mean(metric.name, region, "input")
        restored = found.mean(metric.name, region, "restored")
        if not math.isnan(restored):
            regions[region] = {
                "input": given,
                "restored": restored,
                "gain": metric.gain(given, restored),
            }
    return {
        "higher_is_better": bool(metric.metric.higher_is_better),
        "protocol": metric.metric.protocol,
        **regions,
    }


def write(
    folder: Path, scores: Mapping[str, SetScores], metrics: Sequence[NamedMetric]
) -> dict[str, Any]:
    """Write `scores.json`, `scores.csv` and a grid of pictures a set; return the summary."""
    found = summary(scores, metrics)
    files.write(folder / "scores.json", json.dumps(found, indent=2))
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["set", "image", "metric", "region", "input", "restored"])
    for name, of_set in scores.items():
        for (metric, region, what), values in of_set.values.items():
            if what == "restored":
                given = of_set.values[metric, region, "input"]
                for image, before, after in zip(of_set.images, given, values, strict=True):
                    if not math.isnan(after):
                        numbers = (f"{before:.6g}", f"{after:.6g}")
                        writer.writerow([name, image, metric, region, *numbers])
    files.write(folder / "scores.csv", table.getvalue())
    for name, of_set in scores.items():
        if of_set.pictures:
            grid = comparison(of_set.pictures)
            images.write(folder / "samples" / f"{name}.png", grid)
    return found
