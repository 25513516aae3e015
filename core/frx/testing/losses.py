"""Checks of what training makes small: losses of images, and of a mask's logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from frx.build import call, wants
from frx.testing.batches import CLOSE, SIZES, damaged_batch, described, noise_for
from frx.testing.promises import Promises

# Logits that a network reaches when it is sure, and how sure it is of what it has learnt well.
LARGEST_LOGIT = 50
SURE = 5


def check_loss(loss: Callable[..., Tensor]) -> None:
    """One finite number, least at equality, with a finite gradient to the restored image.

    Also at equality itself, and where the mask marks nothing. One that asks for `logits` is given
    those of a mask instead: it has to be least where they say surely what the target says, to rise
    as they say less and then the opposite, and to be finite for logits of ±50 in any float type.

    One that asks for `made_features` is given those of two scales with two layers each.

    One that asks for `region` also has to be its mean over that: the value of the whole image where
    the region is everything, not less where it is smaller, and 0 where it is empty.

    Raises:
        AssertionError: says which promise of `frx.Loss` is broken.
    """
    promises = Promises.made_by(loss)
    if isinstance(loss, nn.Module):
        loss.requires_grad_(False).eval()
    if wants(loss, "made_features"):
        _check_features(promises, loss)
        return
    for (height, width), mask in zip(SIZES, (1, 0), strict=True):
        data = damaged_batch(height, width)
        data["mask"] *= mask
        noise = noise_for(data["clean"])
        if wants(loss, "logits"):
            data["clean"] = data["mask"]
            right, noisy = SURE * (2 * data["mask"] - 1), noise[:, :1]
            _check_logits(promises, loss, data)
            given, at_best = "logits that say surely what the target says", "the logits are right"
        else:
            right, noisy = data["clean"], (data["clean"] + 0.1 * noise).clamp(0, 1)
            given, at_best = "an image that is already clean", "restored equals clean"
        least, _ = _value(promises, loss, data, right, given)
        value, gradient = _value(promises, loss, data, noisy, f"images of {width} × {height}")
        promises.kept(
            least <= value,
            f"is {least:.4g} where {at_best}, but {value:.4g} where there is noise",
        )
        if mask:
            promises.kept(
                gradient.abs().max() > 0, f"does not change with {_made(loss)}: no gradient"
            )
            if wants(loss, "region"):
                _check_region(promises, loss, data, right, noisy, value)


def _check_features(promises: Promises, loss: Callable[..., Tensor]) -> None:
    """One finite number, least at equality, with a gradient to the made features alone."""
    generator = torch.Generator().manual_seed(1)
    real = [
        [torch.randn(2, channels, side, side, generator=generator) for channels in (4, 6)]
        for side in (9, 5)
    ]
    values = []
    for change in (0.0, 0.5):
        made = [[layer.detach() + change for layer in scale] for scale in real]
        tensors = [
            layer.requires_grad_(True) for side in (made, real) for scale in side for layer in scale
        ]
        with promises.no_error("features of two scales with two layers each"):
            value: Any = call(loss, {"made_features": made, "real_features": real})
        promises.kept(
            isinstance(value, Tensor) and value.shape == () and bool(torch.isfinite(value)),
            f"has to return one finite number, a tensor of shape [], not {described(value)}",
        )
        promises.kept(value.requires_grad, "lets no gradient through to the made features")
        gradients = torch.autograd.grad(value, tensors, allow_unused=True)
        promises.kept(
            all(gradient is not None for gradient in gradients[: len(tensors) // 2]),
            "lets no gradient through to some of the made features",
        )
        promises.kept(
            all(gradient is None for gradient in gradients[len(tensors) // 2 :]),
            "has a gradient to the real features, which have nothing to learn",
        )
        values.append(value.item())
    promises.kept(
        values[0] < values[1],
        f"is {values[0]:.4g} where the features are equal, but {values[1]:.4g} where they differ",
    )


def _made(loss: Callable[..., Tensor]) -> str:
    return "the logits" if wants(loss, "logits") else "the restored image"


def _check_logits(
    promises: Promises, loss: Callable[..., Tensor], data: Mapping[str, Tensor]
) -> None:
    """It rises as the logits go from right to wrong, and stands large ones in any float type."""
    says = 2 * data["clean"] - 1
    right, unsure, wrong = (
        _value(promises, loss, data, logit * says, f"logits of ±{logit}")[0]
        for logit in (SURE, 0, -SURE)
    )
    if data["clean"].any():
        promises.kept(
            right < unsure < wrong,
            "has to rise from logits that say surely what the target says, to 0, to the opposite, "
            f"but is {right:.4g}, {unsure:.4g}, {wrong:.4g}",
        )
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for logit in (LARGEST_LOGIT, -LARGEST_LOGIT):
            given = f"{str(dtype).removeprefix('torch.')} logits of ±{LARGEST_LOGIT}"
            _value(promises, loss, data, (logit * says).to(dtype), given)


def _check_region(
    promises: Promises,
    loss: Callable[..., Tensor],
    data: Mapping[str, Tensor],
    right: Tensor,
    noisy: Tensor,
    whole: float,
) -> None:
    """A mean over the region: of all, of each half, of nothing."""

    def within(region: Tensor, made: Tensor, given: str) -> tuple[float, Tensor]:
        return _value(promises, loss, {**data, "region": region}, made, given)

    half = data["mask"]
    everything, _ = within(torch.ones_like(half), noisy, "a region that is everything")
    promises.kept(
        math.isclose(everything, whole, rel_tol=1e-3, abs_tol=CLOSE),
        f"is {everything:.4g} where the region is everything, but {whole:.4g} without a region",
    )
    halves = []
    for region in (half, 1 - half):
        value, _ = within(region, noisy, "a region that is half of the image")
        for elsewhere in (right, noisy):
            made = torch.where(region > 0, right, elsewhere)
            least, _ = within(region, made, "a region that is already right")
            promises.kept(
                least <= value,
                f"is {least:.4g} where all is right within the region, but {value:.4g} where "
                "there is noise",
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
    made: Tensor,
    given: str,
) -> tuple[float, Tensor]:
    """The loss, as a term of a recipe calls it, and its gradient with respect to `made`."""
    made = made.clone().requires_grad_(True)
    before = data["clean"].clone()
    named = {"restored": made, "logits": made, "target": data["clean"]}
    with promises.no_error(given):
        value: Any = call(loss, {**data, **named})
    if not data["mask"].any():
        given = f"{given}, with an empty mask"
    promises.kept(
        isinstance(value, Tensor) and value.shape == (),
        f"has to return one number, a tensor of shape [], not {described(value)}",
    )
    promises.kept(torch.isfinite(value), f"is {value.item():.4g} for {given}; it has to be finite")
    promises.kept(torch.equal(before, data["clean"]), "changes its input")
    promises.kept(value.requires_grad, f"lets no gradient through to {_made(loss)}")
    (gradient,) = torch.autograd.grad(value, made, allow_unused=True)
    promises.kept(gradient is not None, f"lets no gradient through to {_made(loss)}")
    promises.kept(torch.isfinite(gradient).all(), f"has a gradient that is not finite for {given}")
    return value.item(), gradient
