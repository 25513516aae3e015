"""The checks of losses, each sentence with one that earns it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frx import testing
from frx.regions import mean_over

Says = Callable[..., None]


def an_image_of_losses(restored: Tensor, clean: Tensor) -> Tensor:
    return (restored - clean).abs()


def backwards(restored: Tensor, clean: Tensor) -> Tensor:
    return -(restored - clean).square().mean()


def root(restored: Tensor, clean: Tensor) -> Tensor:
    return (restored - clean).square().mean().sqrt()


def detached(restored: Tensor, clean: Tensor) -> Tensor:
    return (restored.detach() - clean).abs().mean()


def levels(restored: Tensor, clean: Tensor) -> Tensor:
    return ((restored * 255).round() - (clean * 255).round()).abs().mean()


def mean_in_mask(restored: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    return ((restored - clean).abs() * mask).sum() / mask.sum()


def decibels(restored: Tensor, clean: Tensor) -> Tensor:
    return 10 * torch.log10((restored - clean).square().mean())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (an_image_of_losses, "has to return one number, a tensor of shape [], not [2, 3, 64, 64]"),
        (backwards, "backwards is -0 where restored equals clean, but -0.00"),
        (root, "root has a gradient that is not finite for an image that is already clean"),
        (detached, "detached lets no gradient through to the restored image"),
        (levels, "levels does not change with the restored image: no gradient"),
        (
            mean_in_mask,
            "mean_in_mask is nan for an image that is already clean, with an empty mask",
        ),
        (decibels, "decibels is -inf for an image that is already clean"),
    ],
)
def test_losses(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_loss, wrong)


def error(restored: Tensor, clean: Tensor) -> Tensor:
    return (restored - clean).abs()


class Limited:
    """Right in everything; the wrong ones differ in one thing."""

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        return mean_over(error(restored, clean), region)


class Demanding(Limited):
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor) -> Tensor:
        return mean_over(error(restored, clean), region)


class Heedless(Limited):
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        return error(restored, clean).mean()


class HeedlessNetwork(nn.Module):
    def forward(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        return error(restored, clean).mean()


def heedless(
    restored: Tensor, clean: Tensor, region: Tensor | None = None, *, scale: float = 1
) -> Tensor:
    return scale * error(restored, clean).mean()


class Unguarded(Limited):
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        inside = torch.ones_like(clean) if region is None else region.expand_as(clean)
        return (error(restored, clean) * inside).sum() / inside.sum()


class Fading(Limited):
    """Zero outside the region, and averaged over the whole picture."""

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        return (error(restored, clean) * (1 if region is None else region)).mean()


class Reverse(Limited):
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        return super().__call__(restored, clean, None if region is None else 1 - region)


class Baited(Limited):
    """Rewards what is wrong outside of the region."""

    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        outside = 0 if region is None else super().__call__(restored, clean, 1 - region)
        return super().__call__(restored, clean, region) - 2 * outside


class Constant(Limited):
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        if region is not None and not region.any():
            return torch.zeros(())
        return super().__call__(restored, clean, region)


def test_a_right_loss_that_asks_for_a_region_passes() -> None:
    testing.check_loss(Limited())
    testing.check_loss(partial(Limited()))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Demanding(), "RecipeError: Demanding asks for region, which is not there"),
        (Heedless(), "for an empty region; it has to be 0, with a gradient of 0"),
        (HeedlessNetwork(), "for an empty region; it has to be 0"),
        (heedless, "for an empty region; it has to be 0"),
        (partial(heedless, scale=2), "for an empty region; it has to be 0"),
        (Unguarded(), "Unguarded is nan for an empty region; it has to be finite"),
        (Fading(), "Fading shrinks with its region, from 0.07"),
        (Reverse(), "Reverse is 0 where the region is everything, but 0.07"),
        (Baited(), "Baited is 0 where all is right within the region, but -0.08"),
        (Constant(), "Constant lets no gradient through to the restored image"),
    ],
)
def test_losses_by_region(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_loss, wrong)


def right_of_logits(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), target)


def smoothed(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), 0.9 * target + 0.05)


def right_by_mixed_names(logits: Tensor, clean: Tensor) -> Tensor:
    return right_of_logits(logits, clean)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    found = logits.float().sigmoid()
    return 1 - (2 * (found * target).sum() + 1) / (found.sum() + target.sum() + 1)


class LimitedLogits:
    def __call__(self, logits: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
        values = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        return mean_over(values, region)


class HeedlessLogits(LimitedLogits):
    def __call__(self, logits: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
        return super().__call__(logits, target)


@pytest.mark.parametrize(
    "right", [right_of_logits, smoothed, right_by_mixed_names, dice, LimitedLogits()]
)
def test_right_losses_of_logits_pass(right: Any) -> None:
    testing.check_loss(right)


def of_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    found = logits.sigmoid()
    return -(target * found.log() + (1 - target) * (1 - found).log()).mean()


def exponential(logits: Tensor, target: Tensor) -> Tensor:
    """Right in float32; e to the power of 50 is none of float16's numbers."""
    return torch.log(1 + torch.exp(-logits * (2 * target - 1).to(logits.dtype))).mean()


def opposite(logits: Tensor, target: Tensor) -> Tensor:
    return right_of_logits(logits, 1 - target)


def eager(logits: Tensor, target: Tensor) -> Tensor:
    return right_of_logits(logits, torch.ones_like(target))


def certain(logits: Tensor, target: Tensor) -> Tensor:
    """Content with sure logits, whatever they say."""
    return -logits.float().abs().mean()


def swayed(logits: Tensor, target: Tensor) -> Tensor:
    """Rises as it should while all logits are alike, but likes it when they are not."""
    return right_of_logits(logits, target) - 10 * logits.float().abs().std()


def blind(logits: Tensor, target: Tensor) -> Tensor:
    return right_of_logits(logits.detach(), target)


def a_map(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")


def marked_alone(logits: Tensor, target: Tensor) -> Tensor:
    return (a_map(logits, target) * target).sum() / target.sum()


def thresholded(logits: Tensor, target: Tensor) -> Tensor:
    return ((logits > 0).float() - target).abs().mean() + 0 * logits.sum()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (of_probabilities, "of_probabilities is nan for float32 logits of ±50"),
        (exponential, "exponential is inf for float16 logits of ±50; it has to be finite"),
        (opposite, "opposite has to rise from logits that say surely what the target says"),
        (eager, "eager has to rise from logits that say surely what the target says, to 0"),
        (certain, "to 0, to the opposite, but is -5, -0, -5"),
        (swayed, "swayed is 0.006715 where the logits are right, but -"),
        (thresholded, "thresholded does not change with the logits: no gradient"),
        (blind, "blind lets no gradient through to the logits"),
        (a_map, "has to return one number, a tensor of shape [], not [2, 1, 64, 64]"),
        (marked_alone, "marked_alone is nan for logits of ±5, with an empty mask"),
        (HeedlessLogits(), "for an empty region; it has to be 0, with a gradient of 0"),
    ],
)
def test_losses_of_logits(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_loss, wrong)
