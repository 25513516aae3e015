"""Checks of what works on batches: models, losses, metrics."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frx.build import call
from frx.testing.promises import Promises

SIZES = ((64, 64), (37, 53))  # height, width
# Two ways of computing one thing may round differently; this is far below a level of 8 bits.
CLOSE = 1e-4


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
    promises.kept(isinstance(model, nn.Module), "is not an nn.Module")
    promises.kept(
        any(p.requires_grad for p in model.parameters()), "has no parameter that could learn"
    )
    for height, width in SIZES:
        data = _damaged_batch(height, width)
        del data["clean"]  # is not there when photographs are restored
        with torch.no_grad():
            outputs = _outputs(promises, model.eval(), data)
            again = _outputs(promises, model, data)
            promises.kept(
                _largest_difference(outputs, again) == 0,
                "gives two results for one input in evaluation mode",
            )
            if not getattr(model, "differs_in_training", False):
                promises.kept(
                    _largest_difference(outputs, _outputs(promises, model.train(), data)) < CLOSE,
                    "gives other results in training mode than in evaluation mode; one with "
                    "dropout or running statistics has to say differs_in_training = True",
                )
    _check_gradients(promises, model, data)
    _check_saving(promises, model, other, data)


def _outputs(promises: Promises, model: nn.Module, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
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


def _check_gradients(promises: Promises, model: nn.Module, data: Mapping[str, Tensor]) -> None:
    model.train().zero_grad()
    outputs = _outputs(promises, model, data)
    promises.kept(outputs["image"].requires_grad, "gives an image without gradients")
    total = torch.zeros(())
    for value in outputs.values():
        if value.requires_grad:
            total = total + (value.float() - 0.3).square().mean()
    torch.autograd.backward(total)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            promises.kept(
                parameter.grad is not None, f"has a parameter that gets no gradient: {name}"
            )
            assert parameter.grad is not None
            promises.kept(
                torch.isfinite(parameter.grad).all(), f"has a gradient that is not finite: {name}"
            )


@torch.no_grad()
def _check_saving(
    promises: Promises, model: nn.Module, other: nn.Module | None, data: Mapping[str, Tensor]
) -> None:
    expected = _outputs(promises, model.eval(), data)
    with promises.no_error("saving its weights"):
        raw = safetensors.torch.save({k: t.contiguous() for k, t in model.state_dict().items()})
    fresh: Any = other
    if fresh is None:
        fresh = copy.deepcopy(model)
        for tensor in fresh.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(1)
    with promises.no_error("loading its weights"):
        fresh.load_state_dict(safetensors.torch.load(raw))
    promises.kept(
        _largest_difference(_outputs(promises, fresh.eval(), data), expected) < CLOSE,
        "gives other results after its weights were saved and loaded: something it needs is not "
        "in its state_dict",
    )


def check_loss(loss: Callable[..., Tensor]) -> None:
    """One finite number, least at equality, with a finite gradient to the restored image.

    Also at equality itself, and where the mask marks nothing.

    Raises:
        AssertionError: says which promise of `frx.Loss` is broken.
    """
    promises = Promises.made_by(loss)
    if isinstance(loss, nn.Module):
        loss.requires_grad_(False).eval()
    for (height, width), mask in zip(SIZES, (1, 0), strict=True):
        data = _damaged_batch(height, width)
        data["mask"] *= mask
        noise = torch.randn(data["clean"].shape, generator=torch.Generator().manual_seed(3))
        noisy = (data["clean"] + 0.1 * noise).clamp(0, 1)
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
        f"has to return one number, a tensor of shape [], not {_described(value)}",
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
    data = _damaged_batch(*SIZES[0])
    clean = data["clean"]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
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
    odd = _damaged_batch(*SIZES[1])
    _scores(promises, metric, {**odd, "restored": odd["degraded"]})
    if _asks_for_region(metric):
        _check_region(promises, metric, bad, scores[2])


def _check_region(
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
        f"has to return one number an image, [{count}] here, not {_described(found)}",
    )
    promises.kept(
        "region" in data or torch.isfinite(found).all(), "gives a score that is not finite"
    )
    scores: Tensor = found
    return scores


def _asks_for_region(metric: Callable[..., Tensor]) -> bool:
    from frx.evaluate import NamedMetric

    return NamedMetric("", metric).by_region


def _damaged_batch(height: int, width: int) -> dict[str, Tensor]:
    """What a batch has: clean, degraded [2, 3, H, W] and mask [2, 1, H, W], half of it marked."""
    generator = torch.Generator().manual_seed(height * width)
    coarse = torch.rand(2, 3, 8, 8, generator=generator)
    clean = F.interpolate(coarse, size=(height, width), mode="bilinear").mul(0.8).add(0.1)
    noise = torch.randn(clean.shape, generator=generator)
    mask = torch.zeros(2, 1, height, width)
    mask[..., width // 2 :] = 1
    return {"clean": clean, "degraded": (clean + 0.1 * noise).clamp(0, 1), "mask": mask}


def _largest_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    if set(one) != set(other):
        return float("inf")
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def _described(value: Any) -> str:
    return f"[{', '.join(map(str, value.shape))}]" if isinstance(value, Tensor) else repr(value)
