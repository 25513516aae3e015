"""Checks of what works on batches: models, losses, metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frx.build import call, wants
from frx.testing.batches import CLOSE, damaged_batch, described, noise_for
from frx.testing.networks import (
    check_gradients,
    check_modes,
    check_saving,
    check_that_it_can_learn,
)
from frx.testing.promises import Promises

SIZES = ((64, 64), (37, 53))  # height, width


def check_model(model: nn.Module, other: nn.Module | None = None) -> None:
    """Any size in, the same size out; one answer in all modes; every weight learns and is saved.

    A network with dropout or running statistics says so with a class attribute
    `differs_in_training = True` and may then answer differently in training mode. `other`, made
    anew with the same options, shows that the saved weights hold all that was drawn or learnt.
    Gradients and weights change: hand over a network of your own.

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
    check_gradients(promises, model, answer, "image")
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
    for name, value in named.items():
        promises.kept(
            torch.isfinite(value).all(), f"gives {name!r} with values that are not finite"
        )
    return named


def check_loss(loss: Callable[..., Tensor]) -> None:
    """One finite number, least at equality, with a finite gradient to the restored image.

    Also at equality itself, and where the mask marks nothing. One that asks for `region` also has
    to be its mean over that: the value of the whole image where the region is everything, not less
    where it is smaller, and 0 where it is empty.

    Raises:
        AssertionError: says which promise of `frx.Loss` is broken.
    """
    promises = Promises.made_by(loss)
    if isinstance(loss, nn.Module):
        loss.requires_grad_(False).eval()
    for (height, width), mask in zip(SIZES, (1, 0), strict=True):
        data = damaged_batch(height, width)
        data["mask"] *= mask
        noisy = (data["clean"] + 0.1 * noise_for(data["clean"])).clamp(0, 1)
        least, _ = _value(promises, loss, data, data["clean"], "an image that is already clean")
        value, gradient = _value(promises, loss, data, noisy, f"images of {width} × {height}")
        promises.kept(
            least <= value,
            f"is {least:.4g} where restored equals clean, but {value:.4g} where it is noisy",
        )
        if mask:
            promises.kept(
                gradient.abs().max() > 0, "does not change with the restored image: no gradient"
            )
            if wants(loss, "region"):
                _check_region_of_loss(promises, loss, data, noisy, value)


def _check_region_of_loss(
    promises: Promises,
    loss: Callable[..., Tensor],
    data: Mapping[str, Tensor],
    noisy: Tensor,
    whole: float,
) -> None:
    """A mean over the region: of all, of each half, of nothing."""

    def within(region: Tensor, restored: Tensor, given: str) -> tuple[float, Tensor]:
        return _value(promises, loss, {**data, "region": region}, restored, given)

    half = data["mask"]
    everything, _ = within(torch.ones_like(half), noisy, "a region that is everything")
    promises.kept(
        math.isclose(everything, whole, rel_tol=1e-3, abs_tol=CLOSE),
        f"is {everything:.4g} where the region is everything, but {whole:.4g} without a region",
    )
    halves = []
    for region in (half, 1 - half):
        value, _ = within(region, noisy, "a region that is half of the image")
        for elsewhere in (data["clean"], noisy):
            restored = torch.where(region > 0, data["clean"], elsewhere)
            least, _ = within(region, restored, "a region that is already clean")
            promises.kept(
                least <= value,
                f"is {least:.4g} where restored equals clean within the region, but {value:.4g} "
                "where it is noisy",
            )
        halves.append(value)
    of_half = sum(halves) / 2
    promises.kept(
        abs(of_half) >= 0.75 * abs(whole),
        f"shrinks with its region, from {whole:.4g} to {of_half:.4g} for half of the image; it has "
        "to be a mean over the region",
    )
    nothing, gradient = within(torch.zeros_like(half), noisy, "an empty region")
    promises.kept(
        nothing == 0 and not gradient.any(),
        f"is {nothing:.4g} for an empty region; it has to be 0, with a gradient of 0",
    )


def _value(
    promises: Promises,
    loss: Callable[..., Tensor],
    data: Mapping[str, Tensor],
    restored: Tensor,
    given: str,
) -> tuple[float, Tensor]:
    """The loss and its gradient with respect to `restored`."""
    restored = restored.clone().requires_grad_(True)
    before = data["clean"].clone()
    with promises.no_error(given):
        value: Any = call(loss, {**data, "restored": restored})
    if not data["mask"].any():
        given = f"{given}, with an empty mask"
    promises.kept(
        isinstance(value, Tensor) and value.shape == (),
        f"has to return one number, a tensor of shape [], not {described(value)}",
    )
    promises.kept(torch.isfinite(value), f"is {value.item():.4g} for {given}; it has to be finite")
    promises.kept(torch.equal(before, data["clean"]), "changes its input")
    promises.kept(value.requires_grad, "lets no gradient through to the restored image")
    (gradient,) = torch.autograd.grad(value, restored, allow_unused=True)
    promises.kept(gradient is not None, "lets no gradient through to the restored image")
    promises.kept(torch.isfinite(gradient).all(), f"has a gradient that is not finite for {given}")
    return value.item(), gradient


def check_metric(metric: Callable[..., Tensor]) -> None:
    """One number an image, which orders clean, slightly bad and very bad as it declares.

    One that asks for `region` also has to give NaN where that is empty, and the score of the whole
    image where it is everything.

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
    data = damaged_batch(*SIZES[0])
    clean = data["clean"]
    noise = noise_for(clean)
    scores = [
        _scores(promises, metric, {**data, "restored": (clean + amount * noise).clamp(0, 1)})
        for amount in (0, 0.02, 0.2)
    ]
    for better, worse in ((scores[0], scores[1]), (scores[1], scores[2])):
        promises.kept(
            torch.all(better > worse if higher_is_better else better < worse),
            "does not order clean, slightly bad and very bad as higher_is_better = "
            f"{higher_is_better} says: {', '.join(f'{s[0].item():.4g}' for s in scores)}",
        )
    bad = {**data, "restored": (clean + 0.2 * noise).clamp(0, 1)}
    alone = _scores(promises, metric, {name: tensor[:1] for name, tensor in bad.items()})
    promises.kept(
        torch.allclose(alone, scores[2][:1], rtol=1e-3, atol=CLOSE),
        "scores an image otherwise alone than in a batch",
    )
    odd = damaged_batch(*SIZES[1])
    _scores(promises, metric, {**odd, "restored": odd["degraded"]})
    if wants(metric, "region"):
        _check_region_of_metric(promises, metric, bad, scores[2])


def _check_region_of_metric(
    promises: Promises, metric: Callable[..., Tensor], data: Mapping[str, Tensor], whole: Tensor
) -> None:
    everything = torch.ones_like(data["mask"])
    promises.kept(
        torch.allclose(
            _scores(promises, metric, {**data, "region": everything}), whole, rtol=1e-3, atol=CLOSE
        ),
        "scores an image otherwise when the region is all of it",
    )
    first_empty = data["mask"].clone()
    first_empty[0] = 0
    promises.kept(
        _scores(promises, metric, {**data, "region": first_empty}).isnan().tolist()
        == [True, False],
        "has to give NaN for an image whose region is empty, and a number for the others",
    )


@torch.no_grad()
def _scores(
    promises: Promises, metric: Callable[..., Tensor], data: Mapping[str, Tensor]
) -> Tensor:
    height, width = data["clean"].shape[-2:]
    with promises.no_error(f"images of {width} × {height}"):
        found: Any = call(metric, data)
    count = len(data["clean"])
    promises.kept(
        isinstance(found, Tensor) and found.shape == (count,),
        f"has to return one number an image, [{count}] here, not {described(found)}",
    )
    promises.kept(
        "region" in data or torch.isfinite(found).all(), "gives a score that is not finite"
    )
    scores: Tensor = found
    return scores
