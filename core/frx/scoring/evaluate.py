"""Scores of a restorer, each with its protocol, its region and the input's own score beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frx import files, images, plots
from frx.blind import THRESHOLDS, found_mask
from frx.data import Samples, Subset
from frx.grids import columns, comparison
from frx.loader import Batch, Loader
from frx.progress import Progress
from frx.scoring.classical import NamedBaseline
from frx.scoring.scores import NamedMetric, SetScores, candidates
from frx.scoring.summary import lines, summary

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
    baselines: Sequence[NamedBaseline] = (),
) -> SetScores:
    """Restore every sample of a set and score it, and its input, against the clean image.

    So is what each baseline makes of the input. `keep` is handed the set's name, every batch and
    what became of it.
    """
    scores = SetScores(group_of=_group_of(samples.subset))
    indices = samples.subset.indices
    size = BATCH if samples.subset.same_size else 1
    with Progress(f"scoring {label}", len(indices)) as progress:
        for batch in Loader(samples, device).batches(indices, size):
            scores.bad |= dict(batch.bad)
            progress.advance(batch.size + len(batch.bad))
            if not batch.size:
                continue
            outputs = restore(batch)
            classical = {baseline.name: baseline(batch) for baseline in baselines}
            judged = candidates(batch, outputs)
            judged |= {name: {"restored": image} for name, image in classical.items()}
            scores.add(batch, judged, metrics)
            scores.tally(batch, judged, metrics)
            if "mask" in outputs:
                found = {threshold: found_mask(outputs, threshold) for threshold in THRESHOLDS}
                scores.sweep(batch, found, metrics)
            if keep is not None:
                keep(label, batch, outputs)
            shown = columns(batch, outputs, classical)
            for number in range(min(batch.size, PICTURES - len(scores.pictures))):
                scores.pictures.append({name: image[number].cpu() for name, image in shown.items()})
    return scores


def _group_of(subset: Subset) -> dict[str, int] | None:
    if subset.groups is None:
        return None
    return {subset.dataset.name(i): int(subset.groups[i]) for i in subset.indices.tolist()}


def score_sets(
    restore: Restore,
    sets: Mapping[str, Samples],
    metrics: Sequence[NamedMetric],
    device: torch.device,
    keep: Keep | None = None,
    baselines: Sequence[NamedBaseline] = (),
) -> dict[str, SetScores]:
    """Score several sets, by name."""
    return {
        name: score(restore, made, metrics, name, device, keep, baselines)
        for name, made in sets.items()
    }


def write(
    folder: Path,
    scores: Mapping[str, SetScores],
    metrics: Sequence[NamedMetric],
    baselines: Sequence[NamedBaseline] = (),
) -> dict[str, Any]:
    """Write `scores.json`, `scores.csv` and pictures of each set; return the summary.

    The pictures are `samples/SET.png` and, where a network found the damage,
    `mask_thresholds-SET.png`.
    """
    found = summary(scores, metrics, baselines)
    files.write(folder / "scores.json", json.dumps(found, indent=2))
    files.write(folder / "scores.csv", lines(scores, metrics, baselines))
    for name, of_set in scores.items():
        if of_set.pictures:
            grid = comparison(of_set.pictures)
            images.write(folder / "samples" / f"{name}.png", grid)
        if "mask_thresholds" in found["sets"][name]:
            plots.draw_thresholds(
                found["sets"][name]["mask_thresholds"], folder / f"mask_thresholds-{name}.png"
            )
    return found
