"""What could stop an evaluation, found out before the hours that come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from attrs import evolve

from frx.data import Samples, first_readable
from frx.errors import DataError, RecipeError
from frx.loader import Batch, Loader
from frx.scoring.classical import NamedBaseline
from frx.scoring.scores import NamedMetric, SetScores


@torch.no_grad()
def rehearse(
    sets: Mapping[str, Samples],
    metrics: Sequence[NamedMetric],
    baselines: Sequence[NamedBaseline],
    device: torch.device,
) -> None:
    """Score the first picture of each set, as damaged as it is.

    Raises:
        RecipeError: a metric or a baseline cannot take it (too small), or a baseline is for marked
            damage and no picture of the set has any.
        DataError: it cannot be read, and `data.on_bad` does not leave it out, or none can.
    """
    for name, samples in sets.items():
        first_readable(samples.subset)
        for baseline in baselines:
            if baseline.needs_mask and not _is_marked(samples):
                raise RecipeError(
                    f"baseline {baseline.name}: it is for marked damage, and in the set {name!r} "
                    "none is marked; leave it out"
                )
        batch = _first(samples, device) if metrics or baselines else None
        if batch is not None:
            seen = {"restored": batch["degraded"], "found": batch["mask"]}
            SetScores().add(batch, {"input": seen}, metrics)
            for baseline in baselines:
                baseline(batch)


def _first(samples: Samples, device: torch.device) -> Batch | None:
    """The first picture that can be read; a process to load it would be one too many."""
    alone = evolve(samples, subset=evolve(samples.subset, workers=0))
    every = Loader(alone, device).batches(samples.subset.indices, 1)
    return next((batch for batch in every if batch.size), None)


def _is_marked(samples: Samples) -> bool:
    """Whether damage is marked in any picture: mostly in the first."""
    for index in samples.subset.indices:
        try:
            if samples.make(int(index))["mask"].any():
                return True
        except (DataError, ValueError):  # one that scoring leaves out, or names
            continue
    return False
