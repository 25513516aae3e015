"""Checks of metrics that judge a whole set at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from frx.testing.batches import CLOSE, SIZES, noise_for
from frx.testing.promises import Promises

IMAGES = 12
BATCH = 5


def check_tally(promises: Promises, metric: Any, *, higher_is_better: bool) -> None:
    """Sets of twelve images: order, independence of batches and of other sets, one answer.

    Raises:
        AssertionError: says which promise of `frx.specs.Tally` is broken.
    """
    clean = _pictures(*SIZES[0])
    noise = noise_for(clean)
    sets = [(clean + amount * noise).clamp(0, 1) for amount in (0, 0.02, 0.2)]
    tallies = [_begun(promises, metric) for _ in sets]
    promises.kept(
        len({id(tally) for tally in tallies}) == len(tallies), "has to begin a new tally each time"
    )
    for start in range(0, IMAGES, BATCH):  # of all three in turn
        part = slice(start, start + BATCH)
        for tally, restored in zip(tallies, sets, strict=True):
            _add(promises, tally, restored[part], clean[part])
    values = [_value(promises, tally) for tally in tallies]
    for better, worse in ((values[0], values[1]), (values[1], values[2])):
        promises.kept(
            better > worse if higher_is_better else better < worse,
            "does not order clean, slightly bad and very bad sets as higher_is_better = "
            f"{higher_is_better} says: {', '.join(f'{value:.4g}' for value in values)}",
        )
    promises.kept(_value(promises, tallies[2]) == values[2], "gives another value when asked again")
    whole = _begun(promises, metric)
    _add(promises, whole, sets[2], clean)
    value = _value(promises, whole)
    promises.kept(
        math.isclose(value, values[2], rel_tol=1e-3, abs_tol=CLOSE),
        f"gives {value:.6g} for a set in one batch and {values[2]:.6g} for it in batches of "
        f"{BATCH}, in turn with those of other sets",
    )
    odd = _pictures(*SIZES[1])
    other = _begun(promises, metric)
    _add(promises, other, 1 - odd, odd)
    _value(promises, other)


def _pictures(height: int, width: int) -> Tensor:
    """Soft random pictures [12, 3, H, W]."""
    generator = torch.Generator().manual_seed(height * width)
    coarse = torch.rand(IMAGES, 3, 8, 8, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear").mul(0.8).add(0.1)


def _begun(promises: Promises, metric: Any) -> Any:
    with promises.no_error("being asked for a tally"):
        tally = metric.tally()
    promises.kept(
        all(callable(getattr(tally, name, None)) for name in ("add", "value")),
        f"has to give a tally with add and value, not {tally!r}",
    )
    return tally


@torch.no_grad()
def _add(promises: Promises, tally: Any, restored: Tensor, clean: Tensor) -> None:
    before = restored.clone(), clean.clone()
    height, width = clean.shape[-2:]
    with promises.no_error(f"images of {width} × {height}"), promises.no_global_randomness():
        tally.add(restored, clean)
    promises.kept(
        torch.equal(before[0], restored) and torch.equal(before[1], clean), "changes its input"
    )


def _value(promises: Promises, tally: Any) -> float:
    with promises.no_error(f"a set of {IMAGES} images"), promises.no_global_randomness():
        value: Any = tally.value()
    promises.kept(
        isinstance(value, int | float) and math.isfinite(value),
        f"has to give one finite number for a set, not {value!r}",
    )
    return float(value)
