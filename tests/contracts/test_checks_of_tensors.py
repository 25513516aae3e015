"""The checks of models, losses and metrics, each sentence with one that earns it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frx import testing
from frx.regions import mean_over

Picture = NDArray[np.uint8]
Rng = np.random.Generator


Says = Callable[..., None]


class Net(nn.Module):
    """Right in everything; the wrong ones differ in one thing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, degraded: Tensor) -> Any:
        return degraded + self.layer(degraded)


class Shrinks(Net):
    def forward(self, degraded: Tensor) -> Any:
        return self.layer(degraded)[..., ::2, ::2]


class EvenOnly(Net):
    def forward(self, degraded: Tensor) -> Any:
        return nn.functional.interpolate(self.layer(degraded)[..., ::2, ::2], scale_factor=2)


class Unlearnt(Net):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)


class Dropping(Net):
    def forward(self, degraded: Tensor) -> Any:
        return nn.functional.dropout(self.layer(degraded), training=self.training)


class SaidSo(Dropping):
    differs_in_training = True


class Noisy(Net):
    def forward(self, degraded: Tensor) -> Any:
        return self.layer(degraded) + torch.rand(())


class Outside(Net):
    """Keeps a number where state_dict does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.rand(())

    def forward(self, degraded: Tensor) -> Any:
        return self.scale * self.layer(degraded)


class Shared(Net):
    def __init__(self) -> None:
        super().__init__()
        self.same = self.layer


class Nameless(Net):
    def forward(self, degraded: Tensor) -> Any:
        return {"restored": self.layer(degraded)}


class InPlace(Net):
    def forward(self, degraded: Tensor) -> Any:
        return self.layer(degraded.mul_(2).sub_(1))


class Cheating(Net):
    def forward(self, degraded: Tensor, clean: Tensor) -> Any:
        return self.layer(degraded) * 0 + clean


def test_right_models_pass() -> None:
    testing.check_model(Net(), Net())
    testing.check_model(SaidSo())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Shrinks, "Shrinks makes [2, 3, 32, 32] of [2, 3, 64, 64]; the size has to stay"),
        (EvenOnly, "EvenOnly makes [2, 3, 38, 54] of [2, 3, 37, 53]"),
        (Unlearnt, "Unlearnt has a parameter that gets no gradient: unused.weight"),
        (Dropping, "Dropping gives other results in training mode than in evaluation mode"),
        (Noisy, "Noisy gives two results for one input in evaluation mode"),
        (Outside, "something it needs is not in its state_dict"),
        (Shared, "Shared fails on saving its weights: RuntimeError"),
        (Nameless, 'Nameless has to return an image, or tensors by name with one "image"'),
        (InPlace, "InPlace changes its input"),
        (Cheating, "fails on images of 64 × 64: RecipeError: Cheating asks for clean"),
        (nn.Identity, "Identity has no parameter that could learn"),
    ],
)
def test_models(make: Callable[[], nn.Module], sentence: str, says: Says) -> None:
    says(sentence, testing.check_model, make(), make())


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
        (Baited(), "where restored equals clean within the region, but -0.08"),
        (Constant(), "Constant lets no gradient through to the restored image"),
    ],
)
def test_losses_by_region(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_loss, wrong)


class Error:
    """Right in everything; the wrong ones differ in one thing."""

    higher_is_better = False
    protocol = "mean absolute difference, 0..1"

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return (restored - clean).abs().mean(dim=(1, 2, 3))


class Reversed(Error):
    higher_is_better = True


class Undeclared(Error):
    higher_is_better = None


class NoProtocol(Error):
    protocol = ""


class OneNumber(Error):
    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return (restored - clean).abs().mean()


class OfTheBatch(Error):
    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return super().__call__(restored, clean).cumsum(0)[-1:].expand(len(clean))


class IgnoresRegion(Error):
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor | None = None) -> Tensor:
        return super().__call__(restored, clean)


def test_a_right_metric_passes() -> None:
    testing.check_metric(Error())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Reversed(), "does not order clean, slightly bad and very bad as higher_is_better = True"),
        (Undeclared(), "Undeclared has to say higher_is_better = True or False"),
        (NoProtocol(), "NoProtocol has no protocol"),
        (OneNumber(), "OneNumber has to return one number an image, [2] here, not []"),
        (OfTheBatch(), "OfTheBatch scores an image otherwise alone than in a batch"),
        (IgnoresRegion(), "IgnoresRegion has to give NaN for an image whose region is empty"),
    ],
)
def test_metrics(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_metric, wrong)
