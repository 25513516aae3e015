"""What a run learns of itself between its epochs: losses and scores of "val"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frx.blind import composited
from frx.divergence import check_validation
from frx.scoring.scores import SetScores, candidates

if TYPE_CHECKING:
    from frx.run import Run

# Validation needs no gradients, so a batch of it takes far less memory than one of training.
BATCH = 16


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Means over the images of "val": each loss term, "loss", their sum, and each metric.

    A metric is there with its region, "ssim whole" and, where damage is marked, "ssim damaged":
    the label of a loss, of which there may be one of the same name, has none.

    Raises:
        DivergedError: a loss is not finite.
    """
    module = run.networks["model"].module.eval()
    totals: dict[str, Tensor] = {}
    scores = SetScores()
    subset = run.sets["val"]
    for batch in run.loader("val").batches(subset.indices, BATCH):
        run.bad_images |= dict(batch.bad)
        if not batch.size:
            continue
        outputs = run.forward("model", batch)
        for label, value in run.losses(outputs, batch).items():
            totals[label] = totals.get(label, torch.zeros_like(value)) + value * batch.size
        judged = candidates(batch, composited(outputs, batch["degraded"]))
        if run.input_scores is not None:  # the damage is the same in every validation of a stage
            del judged["input"]
        scores.add(batch, judged, run.metrics)
    module.train()
    restored = scores.means("restored")
    if run.input_scores is None:
        run.input_scores = scores.means("input")
    run.gains = {
        name: metric.gain(run.input_scores[name], restored[name])
        for metric in run.metrics
        for name in restored
        if name.partition(" ")[0] == metric.name and name in run.input_scores
    }
    means = {label: total.item() / len(scores.images) for label, total in totals.items()}
    check_validation(run, means)
    return {"loss": sum(means.values()), **means, **restored}
