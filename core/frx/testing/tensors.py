"""Checks of what restores a batch, and of what judges that: models and metrics."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frx.blind import finds_damage
from frx.build import call, wants
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.testing.batches import (
    CLOSE,
    SIZES,
    damaged_batch,
    described,
    noise_for,
    with_damage_found,
)
from frx.testing.networks import (
    check_gradients,
    check_layouts,
    check_modes,
    check_saving,
    check_that_it_can_learn,
)
from frx.testing.promises import Promises
from frx.testing.sets import check_tally


def check_model(model: nn.Module, other: nn.Module | None = None) -> None:
    """Any size in, the same size out; one answer in all modes; every weight learns and is saved.

    A network with dropout or running statistics says so with a class attribute
    `differs_in_training = True` and may then answer differently in training mode. `other`, made
    anew with the same options, shows that the saved weights hold all that was drawn or learnt.
    A network that finds the damage itself says so with a class attribute `finds_damage = True`, and
    gives "mask", [B, 1, H, W], as logits; no other network may call an output that.
    In channels_last gradients are the same. Gradients and weights change: hand over a network of
    your own.

    Raises:
        AssertionError: says which promise of `frx.Model` is broken.
    """
    promises = Promises.made_by(model)
    check_that_it_can_learn(promises, model)
    for height, width in SIZES:
        data = damaged_batch(height, width)
        del data["clean"]  # is not there when photographs are restored
        answer = partial(_outputs, promises, data)
        check_modes(promises, model, answer)
    if finds_damage(model):
        _check_logits(promises, model, data)
    check_gradients(promises, model, answer, "image")
    check_layouts(promises, model, partial(_outputs, promises), data)
    check_saving(promises, model, other, answer)


def _outputs(promises: Promises, data: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    before = {name: tensor.clone() for name, tensor in data.items()}
    height, width = data["degraded"].shape[-2:]
    with promises.no_error(f"images of {width} × {height}"):
        result = call(model, data)
    named = result if isinstance(result, dict) else {"image": result}
    promises.kept(all(torch.equal(data[name], before[name]) for name in data), "changes its input")
    promises.kept(
        all(isinstance(value, Tensor) for value in named.values()) and "image" in named,
        'has to return an image, or tensors by name with one "image"',
    )
    image = named["image"]
    promises.kept(
        image.shape == data["degraded"].shape,
        f"makes {list(image.shape)} of {list(data['degraded'].shape)}; the size has to stay",
    )
    _check_mask(promises, named, image, declared=finds_damage(model))
    for name, value in named.items():
        promises.kept(
            torch.isfinite(value).all(), f"gives {name!r} with values that are not finite"
        )
    return named


def _check_mask(
    promises: Promises, named: Mapping[str, Tensor], image: Tensor, *, declared: bool
) -> None:
    """A mask [B, 1, H, W] where the network declares one, and none elsewhere."""
    if not declared:
        promises.kept(
            "mask" not in named,
            'gives a "mask", but does not declare it; one that finds damage has to have a class '
            "attribute finds_damage = True",
        )
        return
    promises.kept("mask" in named, 'says finds_damage = True and gives no "mask"')
    wanted = [len(image), 1, *image.shape[-2:]]
    promises.kept(
        list(named["mask"].shape) == wanted,
        f'gives a "mask" {described(named["mask"])} where {wanted} is wanted',
    )


@torch.no_grad()
def _check_logits(promises: Promises, model: nn.Module, data: Mapping[str, Tensor]) -> None:
    """A mask with values outside 0..1, where no sigmoid's are."""
    tried = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        mask = call(tried, data)["mask"]
        if ((mask < 0) | (mask > 1)).any():
            return
        # Untrained logits may all lie within 0..1 by chance: other weights bring them out of it.
        for parameter in tried.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    promises.kept(
        False, 'gives a "mask" of values between 0 and 1, as after a sigmoid; logits are wanted'
    )


def check_metric(metric: Any) -> None:
    """One number an image, which orders clean, slightly bad and very bad as it declares.

    One that asks for `found` is given masks instead: the truth, slightly and very wrong ones; where
    nothing is damaged and nothing found its score may be NaN, which spares the other images. One
    that asks for `region` also has to give NaN where that is empty, and the score of the whole
    image where it is everything. One that does without `clean` only has to tell drawn faces from
    very noisy ones. One that cannot take small pictures says so with an attribute `smallest_px`: of
    so many pixels on either side it takes all, and what it refuses it refuses with ValueError.

    One with `tally` is given sets of twelve images instead, whole and in batches.

    Raises:
        AssertionError: says which promise of `frx.Metric` is broken.
    """
    promises = Promises.made_by(metric)
    higher_is_better = getattr(metric, "higher_is_better", None)
    promises.kept(isinstance(higher_is_better, bool), "has to say higher_is_better = True or False")
    protocol = getattr(metric, "protocol", None)
    promises.kept(
        isinstance(protocol, str) and protocol.strip(),
        "has no protocol: the range, window, network, … that its numbers depend on",
    )
    if hasattr(metric, "tally"):
        check_tally(promises, metric, higher_is_better=bool(higher_is_better))
        return
    first, second = _sizes(metric)
    judged, called = _judged(metric, *first)
    scores = [_scores(promises, metric, data) for data in judged]
    for better, worse in pairwise(scores):
        promises.kept(
            torch.all(better > worse if higher_is_better else better < worse),
            f"does not order {called} as higher_is_better = "
            f"{higher_is_better} says: {', '.join(f'{s[0].item():.4g}' for s in scores)}",
        )
    bad = judged[-1]
    alone = _scores(promises, metric, {name: tensor[:1] for name, tensor in bad.items()})
    promises.kept(
        torch.allclose(alone, scores[-1][:1], rtol=1e-3, atol=CLOSE),
        "scores an image otherwise alone than in a batch",
    )
    _scores(promises, metric, _judged(metric, *second)[0][1])
    if hasattr(metric, "smallest_px"):
        _check_small_pictures(promises, metric)
    if wants(metric, "found"):
        _check_nothing_found(promises, metric, bad)
    if wants(metric, "region"):
        _check_region_of_metric(promises, metric, bad, scores[-1])


def _judged(
    metric: Callable[..., Tensor], height: int, width: int
) -> tuple[list[dict[str, Tensor]], str]:
    """Batches from right to very wrong, and how to call these."""
    data = damaged_batch(height, width)
    if wants(metric, "found"):
        data["restored"] = data["degraded"]
        moved = [with_damage_found(data, wrong_by_px) for wrong_by_px in (0, 2, 8)]
        return moved, "the true mask, a slightly and a very wrong one"
    amounts: tuple[float, ...] = (0, 0.02, 0.2)
    called = "clean, slightly bad and very bad"
    if not wants(metric, "clean"):  # it judges how natural a picture is, so it needs one of a thing
        data["clean"] = _drawn_faces(height, width)
        amounts, called = (0, 0.2), "drawn faces and very noisy ones"
    noise = noise_for(data["clean"])
    noisy = [
        {**data, "restored": (data["clean"] + amount * noise).clamp(0, 1)} for amount in amounts
    ]
    return noisy, called


def _drawn_faces(height: int, width: int) -> Tensor:
    """Two faces [2, 3, H, W] in 0..1."""
    faces = SyntheticFaces(size=max(height, width))
    pictures = np.stack([faces[index]["clean"][:height, :width] for index in range(2)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def _sizes(metric: Callable[..., Tensor]) -> list[tuple[int, int]]:
    """Heights and widths that a metric has to take: the usual ones, enlarged where it says so."""
    smallest = getattr(metric, "smallest_px", 0)
    added = [max(0, smallest - min(size)) for size in SIZES]
    return [
        (height + more, width + more) for (height, width), more in zip(SIZES, added, strict=True)
    ]


def _check_small_pictures(promises: Promises, metric: Any) -> None:
    side = metric.smallest_px // 2
    data = damaged_batch(side, side)
    data |= {"restored": data["degraded"], "found": data["mask"]}
    try:
        call(metric, data)
    except ValueError:
        pass
    except Exception as error:
        promises.kept(
            False,
            f"fails on images of {side} × {side}, smaller than its smallest_px, with "
            f"{type(error).__name__}: {error}; a ValueError with a sentence is wanted",
        )


def _check_nothing_found(
    promises: Promises, metric: Callable[..., Tensor], data: Mapping[str, Tensor]
) -> None:
    """An image without damage, a mask without a find, and both, each beside an ordinary image."""
    for empty in (("mask",), ("found",), ("mask", "found")):
        first_empty = dict(data)
        for name in empty:
            first_empty[name] = data[name].clone()
            first_empty[name][0] = 0
        scores = _scores(promises, metric, first_empty, may_be_nan=True)
        promises.kept(
            torch.isfinite(scores[1]) and not torch.isinf(scores[0]),
            f"gives {scores[0].item():.4g} for an image whose {' and '.join(empty)} is empty, and "
            f"{scores[1].item():.4g} for the one beside it; a number is wanted, or NaN for the "
            "first alone",
        )


def _check_region_of_metric(
    promises: Promises, metric: Callable[..., Tensor], data: Mapping[str, Tensor], whole: Tensor
) -> None:
    everything = {**data, "region": torch.ones_like(data["mask"])}
    promises.kept(
        torch.allclose(_scores(promises, metric, everything), whole, rtol=1e-3, atol=CLOSE),
        "scores an image otherwise when the region is all of it",
    )
    first_empty = data["mask"].clone()
    first_empty[0] = 0
    scores = _scores(promises, metric, {**data, "region": first_empty}, may_be_nan=True)
    promises.kept(
        scores.isnan().tolist() == [True, False],
        "has to give NaN for an image whose region is empty, and a number for the others",
    )


@torch.no_grad()
def _scores(
    promises: Promises,
    metric: Callable[..., Tensor],
    data: Mapping[str, Tensor],
    *,
    may_be_nan: bool = False,
) -> Tensor:
    height, width = data["clean"].shape[-2:]
    with promises.no_error(f"images of {width} × {height}"):
        given: Any = call(metric, data)
    count = len(data["clean"])
    promises.kept(
        isinstance(given, Tensor) and given.shape == (count,),
        f"has to return one number an image, [{count}] here, not {described(given)}",
    )
    promises.kept(may_be_nan or torch.isfinite(given).all(), "gives a score that is not finite")
    scores: Tensor = given
    return scores
