"""Checks of what plays against a model: discriminators and the losses of their game."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frx.build import call
from frx.specs import AdversarialLoss
from frx.testing.batches import CLOSE, damaged_batch, described, largest_difference, noise_for
from frx.testing.networks import (
    check_gradients,
    check_layouts,
    check_modes,
    check_saving,
    check_that_it_can_learn,
)
from frx.testing.promises import Promises

SIZES = ((64, 64), (53, 70))  # height, width: there is little that a patch fits into
LARGEST_LOGIT = 30


def check_discriminator(discriminator: nn.Module, other: nn.Module | None = None) -> None:
    """Finite logits of each picture by itself, and a gradient that reaches the picture.

    Its forward names what it sees of image, degraded, mask and clean. What it gives at several
    scales is a list. As with a model, every weight learns and is saved; one with dropout, running
    statistics or torch's spectral norm has a class attribute `differs_in_training = True`; `other`
    is one made anew with the same options. In channels_last gradients are the same. Gradients and
    weights change: hand over a network of your own.

    Raises:
        AssertionError: says which promise of `frx.Discriminator` is broken.
    """
    promises = Promises.made_by(discriminator)
    check_that_it_can_learn(promises, discriminator)
    for height, width in SIZES:
        data = damaged_batch(height, width)
        data["image"] = (data["clean"] + 0.05 * noise_for(data["clean"])).clamp(0, 1)
        answer = partial(_judged, promises, data)
        together = check_modes(promises, discriminator, answer)
        first = {name: tensor[:1] for name, tensor in data.items()}
        with torch.no_grad():
            alone = _judged(promises, first, discriminator.eval())
        promises.kept(
            largest_difference(alone, {name: value[:1] for name, value in together.items()})
            < CLOSE,
            "gives a picture other logits alone than in a batch, in evaluation mode",
        )
    image = data["image"].requires_grad_(True)
    check_gradients(promises, discriminator, answer, next(iter(together)))
    promises.kept(
        image.grad is not None and image.grad.abs().max() > 0,
        "lets no gradient through to the image: the model would not learn from it",
    )
    assert image.grad is not None
    promises.kept(
        torch.isfinite(image.grad).all(), "has a gradient to the image that is not finite"
    )
    check_layouts(promises, discriminator, partial(_judged, promises), data)
    check_saving(promises, discriminator, other, answer)


def _judged(
    promises: Promises, data: Mapping[str, Tensor], discriminator: nn.Module
) -> dict[str, Tensor]:
    """What it gives, each tensor of a list under a name of its own, the logits first."""
    before = {name: tensor.detach().clone() for name, tensor in data.items()}
    count, _, height, width = data["image"].shape
    with promises.no_error(f"images of {width} × {height}"):
        outputs: Any = call(discriminator, data)
    promises.kept(all(torch.equal(data[name], before[name]) for name in data), "changes its input")
    promises.kept(
        isinstance(outputs, dict) and "logits" in outputs,
        'has to return tensors, or lists of them, by name with one "logits"',
    )
    logits = _named("logits", outputs["logits"])
    named: dict[str, Any] = {}
    for name, value in outputs.items():
        named |= _named(name, value)
    promises.kept(
        all(isinstance(value, Tensor) for value in named.values()) and logits,
        'has to return tensors, or lists of them, by name with one "logits"',
    )
    for name, value in logits.items():
        promises.kept(
            value.ndim == 4 and value.shape[:2] == (count, 1) and value.numel() > 0,
            f"gives {name} {described(value)} for {described(data['image'])}; "
            f"[{count}, 1, h, w] is wanted",
        )
    if "features" in outputs:
        promises.kept(
            isinstance(outputs["features"], list)
            and len(outputs["features"]) == len(logits)
            and all(isinstance(scale, list) and scale for scale in outputs["features"]),
            f"has to give features as a list for each of its {len(logits)} scales",
        )
    for name, value in named.items():
        promises.kept(
            torch.isfinite(value).all(), f"gives {name!r} with values that are not finite"
        )
    return logits | named


def _named(name: str, value: Any) -> dict[str, Any]:
    """The tensors of nested lists by names such as "features[0][2]"."""
    if not isinstance(value, list):
        return {name: value}
    return {
        key: tensor
        for number, one in enumerate(value)
        for key, tensor in _named(f"{name}[{number}]", one).items()
    }


def check_adversarial_loss(loss: AdversarialLoss) -> None:
    """Losses of single logits that push these the right way, and true marks to read them by.

    Raises:
        AssertionError: says which promise of `frx.AdversarialLoss` is broken.
    """
    promises = Promises.made_by(loss)
    for name in ("real", "fake", "generator"):
        promises.kept(callable(getattr(loss, name, None)), f"has no method {name}")
        _check_elementwise(promises, loss, name)
    # The step is small: a label may be as little as a half, and no loss need fall beyond it.
    before, after = torch.tensor([0.0, 1e-3])
    for name, falls in (("real", True), ("fake", False), ("generator", True)):
        change = (getattr(loss, name)(after) - getattr(loss, name)(before)).item()
        promises.kept(
            change < 0 if falls else change > 0,
            f"has to {'fall' if falls else 'rise'} with the logit around 0 in {name}, where it "
            f"changes by {change:.4g}",
        )
    _check_marks(promises, loss)


def _check_elementwise(promises: Promises, loss: AdversarialLoss, name: str) -> None:
    """A finite loss and gradient for each logit, whatever the others are."""
    whole_numbers = torch.arange(-LARGEST_LOGIT, LARGEST_LOGIT + 1.0)
    logits = whole_numbers.reshape(1, 1, 1, -1).requires_grad_(True)
    with promises.no_error(f"logits from {-LARGEST_LOGIT} to {LARGEST_LOGIT} in {name}"):
        values: Any = getattr(loss, name)(logits)
        alone = [getattr(loss, name)(logit) for logit in logits.chunk(len(whole_numbers), dim=3)]
    promises.kept(
        isinstance(values, Tensor) and values.shape == logits.shape,
        f"has to return one loss a logit in {name}, {described(logits)} here, "
        f"not {described(values)}",
    )
    promises.kept(
        torch.allclose(torch.cat(alone, dim=3), values, rtol=CLOSE, atol=CLOSE, equal_nan=True),
        f"gives a logit another loss alone than beside others in {name}",
    )
    promises.kept(values.requires_grad, f"lets no gradient through to the logits in {name}")
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    for what, found in (("loss", values), ("gradient", gradient)):
        wrong = [f"{logit:g}" for logit in logits[~torch.isfinite(found)].tolist()]
        promises.kept(
            not wrong,
            f"has a {what} that is not finite in {name}, for a logit of {', '.join(wrong[:3])}",
        )


@torch.no_grad()
def _check_marks(promises: Promises, loss: AdversarialLoss) -> None:
    """`cannot_tell` and `perfect` against what the losses of a grid of logits say."""
    for name in ("cannot_tell", "perfect"):
        promises.kept(isinstance(getattr(loss, name, None), int | float), f"has no number {name}")
    logits = torch.linspace(-LARGEST_LOGIT, LARGEST_LOGIT, 60_001)
    real, fake = loss.real(logits), loss.fake(logits)
    same = ((real + fake) / 2).min().item()
    promises.kept(
        abs(loss.cannot_tell - same) < CLOSE,
        f"says cannot_tell = {loss.cannot_tell:.4g}, but with equal logits the discriminator's "
        f"loss can come down to {same:.4g}",
    )
    promises.kept(
        loss.perfect < loss.cannot_tell,
        f"says perfect = {loss.perfect:.4g}, which is not below cannot_tell = "
        f"{loss.cannot_tell:.4g}",
    )
    lowest = ((real.min() + fake.min()) / 2).item()
    promises.kept(
        loss.perfect < lowest + CLOSE,
        f"says perfect = {loss.perfect:.4g}, but its loss can come down to {lowest:.4g}",
    )
