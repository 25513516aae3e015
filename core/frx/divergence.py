"""What is done about losses and gradients that are no finite numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import safetensors.torch
from torch import Tensor

from frx import files, images, ranks
from frx.errors import REMEDY, DivergedError, ResourceError
from frx.grids import comparison
from frx.images import shown
from frx.progress import say
from frx.terms import total

if TYPE_CHECKING:
    from frx.loader import Batch
    from frx.network import Network
    from frx.run import Run

FOLDER = "diverged"  # of a run, for the batch that ended it
MOST_NAMED, MOST_SHOWN = 4, 16


def leave_out(run: Run, name: str, loss: Tensor | Mapping[str, Tensor]) -> None:
    """Leave out an update of the network `name`, as far as the recipe allows it.

    What was gathered for it of gradients is dropped.

    Raises:
        DivergedError: the stage has left out as many as it may; names the step, what is not finite,
            the images, and the files in which they are kept.
    """
    stage, network, position = run.stage, run.networks[name], run.position
    if run.batch:  # where several processes train, all of them find the same
        if isinstance(loss, Tensor):
            loss = ranks.mean(loss, run.batch)
        else:
            loss = ranks.means(loss, run.batch)
    found = f"stage {stage.name}, step {run.step + 1}: {_found(name, network, loss)}"
    names = _names(run.batch) if run.batch else "?"
    if position.skipped < stage.skip_nonfinite:
        position.skipped += 1
        network.drop_gradients()
        count = f"{position.skipped} of at most {stage.skip_nonfinite}"
        say(f"  warning: {found}; the update is left out ({count}); the images: {names}")
        return
    many = "updates that were" if position.skipped > 1 else "update that was"
    also = f", after {position.skipped} {many} left out" if position.skipped else ""
    raise DivergedError(
        f"{found}{also}; no weight of {name} was changed; the images: {names}"
        f"{_kept(run, run.batch) if run.batch else ''}; {REMEDY}, and skip_nonfinite of the stage "
        "leaves so many updates out"
    )


def check_validation(run: Run, losses: Mapping[str, float]) -> None:
    """See to it that weights can be compared by their losses over the images of val.

    Raises:
        DivergedError: a loss is not finite; names it.
    """
    if spoilt := _not_finite(losses):
        raise DivergedError(
            f"stage {run.stage.name}, step {run.step}: over the images of val {spoilt}, not "
            f"finite, so that nobody can tell which weights are the best; {REMEDY}"
        )


def _found(name: str, network: Network, loss: Tensor | Mapping[str, Tensor]) -> str:
    """Which number of an update is not finite."""
    losses = {} if isinstance(loss, Tensor) else loss
    summed = (loss if isinstance(loss, Tensor) else total(loss)).item()
    if not math.isfinite(summed):
        spoilt = _not_finite({label: value.item() for label, value in losses.items()})
        return f"the loss of {name} is {summed:.4g}{f' ({spoilt})' * bool(spoilt)}, not finite"
    spoilt = next(
        (
            f" (of its weight {label})"
            for label, weight in network.module.named_parameters()
            if weight.grad is not None and not weight.grad.isfinite().all()
        ),
        "",
    )
    return f"the gradient of {name}{spoilt} is not finite"


def _not_finite(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} is {v:.4g}" for name, v in values.items() if not math.isfinite(v))


def _names(batch: Batch) -> str:
    more = len(batch.names) - MOST_NAMED
    return ", ".join(map(shown, batch.names[:MOST_NAMED])) + (f" and {more} more" * (more > 0))


def _kept(run: Run, batch: Batch) -> str:
    """Keep a batch, with its names, and a picture of it; say where."""
    path = run.folder / FOLDER / f"step-{run.step + 1:09d}.safetensors"
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in batch.items()}
    picture = comparison(
        [
            {name: tensor[row] for name, tensor in tensors.items()}
            for row in range(min(batch.size, MOST_SHOWN))
        ]
    )
    try:
        about = {"names": json.dumps(batch.names), "stage": run.stage.name}
        files.write(path, safetensors.torch.save(tensors, about))
        images.write(path.with_suffix(".png"), picture)
    except ResourceError as error:
        return f"; their batch could not be kept: {error}"
    return f"; their batch is in {path}, and as a picture in {path.with_suffix('.png').name}"
