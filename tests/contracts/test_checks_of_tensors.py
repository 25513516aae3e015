"""The checks of models and metrics, each sentence with one that earns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frx import testing

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


class OtherLayout(Net):
    """Takes its gradient for one that lies otherwise in memory."""

    def forward(self, degraded: Tensor) -> Any:
        made = self.layer(degraded)
        if made.requires_grad:
            made.register_hook(self.misread)
        return degraded + made

    def misread(self, gradient: Tensor) -> Tensor:
        is_plain = gradient.is_contiguous()
        return gradient if is_plain else gradient.permute(0, 2, 3, 1).reshape(gradient.shape)


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


class NotFinite(Net):
    def forward(self, degraded: Tensor) -> Any:
        return self.layer(degraded) / 0 * 0


class Cheating(Net):
    def forward(self, degraded: Tensor, clean: Tensor) -> Any:
        return self.layer(degraded) * 0 + clean


class Finding(Net):
    """Right in everything, and finds damage; the wrong ones differ in one thing."""

    finds_damage = True

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 1, 1)

    def mask(self, degraded: Tensor) -> Tensor:
        return self.head(degraded)

    def forward(self, degraded: Tensor) -> Any:
        return {"image": degraded + self.layer(degraded), "mask": self.mask(degraded)}


class Hesitant(Finding):
    """Untrained, its logits all lie between 0 and 1."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.head.bias, 0.3)
        nn.init.normal_(self.head.weight, std=1e-3)


class Silent(Finding):
    finds_damage = False


class Empty(Finding):
    def forward(self, degraded: Tensor) -> Any:
        return {"image": self.layer(degraded), "logits": self.head(degraded)}


class Colourful(Finding):
    def mask(self, degraded: Tensor) -> Tensor:
        return self.head(degraded).expand(-1, 3, -1, -1)


class Small(Finding):
    def mask(self, degraded: Tensor) -> Tensor:
        return nn.functional.max_pool2d(self.head(degraded), 2)


class EvenMask(Finding):
    def mask(self, degraded: Tensor) -> Tensor:
        pooled = nn.functional.max_pool2d(self.head(degraded), 2)
        return nn.functional.interpolate(pooled, scale_factor=2)


class Probable(Finding):
    def mask(self, degraded: Tensor) -> Tensor:
        return self.head(degraded).sigmoid()


def test_right_models_pass() -> None:
    testing.check_model(Net(), Net())
    testing.check_model(SaidSo())
    testing.check_model(Finding())


def test_logits_that_lie_between_0_and_1_by_chance_pass() -> None:
    hesitant = Hesitant()
    mask = hesitant(torch.rand(2, 3, 64, 64))["mask"]
    assert 0 < mask.min() <= mask.max() < 1
    testing.check_model(hesitant)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Shrinks, "Shrinks makes [2, 3, 32, 32] of [2, 3, 64, 64]; the size has to stay"),
        (EvenOnly, "EvenOnly makes [2, 3, 38, 54] of [2, 3, 37, 53]"),
        (Unlearnt, "Unlearnt has a parameter that gets no gradient: unused.weight"),
        (Dropping, "Dropping gives other results in training mode than in evaluation mode"),
        (
            OtherLayout,
            "OtherLayout has another gradient when weights and pictures are channels_last: layer.",
        ),
        (Noisy, "Noisy gives two results for one input in evaluation mode"),
        (Outside, "something it needs is not in its state_dict"),
        (Shared, "Shared fails on saving its weights: RuntimeError"),
        (Nameless, 'Nameless has to return an image, or tensors by name with one "image"'),
        (InPlace, "InPlace changes its input"),
        (NotFinite, "NotFinite gives 'image' with values that are not finite"),
        (Cheating, "fails on images of 64 × 64: RecipeError: Cheating asks for clean"),
        (nn.Identity, "Identity has no parameter that could learn"),
        (Silent, 'Silent gives a "mask", but does not declare it'),
        (Silent, "has to have a class attribute finds_damage = True"),
        (Empty, 'Empty says finds_damage = True and gives no "mask"'),
        (Colourful, '"mask" [2, 3, 64, 64] where [2, 1, 64, 64] is wanted'),
        (Small, '"mask" [2, 1, 32, 32] where [2, 1, 64, 64] is wanted'),
        (EvenMask, '"mask" [2, 1, 36, 52] where [2, 1, 37, 53] is wanted'),
        (Probable, 'Probable gives a "mask" of values between 0 and 1, as after a sigmoid'),
    ],
)
def test_models(make: Callable[[], nn.Module], sentence: str, says: Says) -> None:
    says(sentence, testing.check_model, make(), make())


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


class Roughness:
    """Needs no clean picture: the difference of neighbours, which noise makes larger."""

    higher_is_better = False
    protocol = "mean absolute difference of neighbours, 0..1"

    def __call__(self, restored: Tensor) -> Tensor:
        return restored.diff(dim=3).abs().mean(dim=(1, 2, 3))


class LikesNoise(Roughness):
    higher_is_better = True


class Choosy(Error):
    """Takes nothing below 80 × 80, and says so."""

    smallest_px = 80

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        if min(clean.shape[2:]) < 80:
            raise ValueError("needs pictures of at least 80 × 80 pixels")
        return super().__call__(restored, clean)


class ChoosierThanItSays(Choosy):
    smallest_px = 70


class Clumsy(Error):
    smallest_px = 80

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return super().__call__(restored, clean) * clean[0, 0, 50, 50].isfinite()


def test_a_right_metric_passes() -> None:
    testing.check_metric(Error())
    testing.check_metric(Roughness())
    testing.check_metric(Choosy())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Reversed(), "does not order clean, slightly bad and very bad as higher_is_better = True"),
        (Undeclared(), "Undeclared has to say higher_is_better = True or False"),
        (NoProtocol(), "NoProtocol has no protocol"),
        (OneNumber(), "OneNumber has to return one number an image, [2] here, not []"),
        (OfTheBatch(), "OfTheBatch scores an image otherwise alone than in a batch"),
        (
            LikesNoise(),
            "does not order drawn faces and very noisy ones as higher_is_better = True says",
        ),
        (
            ChoosierThanItSays(),
            "fails on images of 70 × 70: ValueError: needs pictures of at least",
        ),
        (
            Clumsy(),
            "fails on images of 40 × 40, smaller than its smallest_px, with IndexError: index 50",
        ),
        (IgnoresRegion(), "IgnoresRegion has to give NaN for an image whose region is empty"),
    ],
)
def test_metrics(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_metric, wrong)


class Overlap:
    """Right in everything; the wrong ones differ in one thing."""

    higher_is_better = True
    protocol = "mean over images of each image's own IoU, of pixels"

    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        return self.over(mask * found, torch.maximum(mask, found))

    def over(self, both: Tensor, either: Tensor) -> Tensor:
        return both.sum(dim=(1, 2, 3)) / either.sum(dim=(1, 2, 3))


class SaysLess(Overlap):
    higher_is_better = False


class AllAlike(Overlap):
    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        return torch.ones(len(found))


class TruthAlone(Overlap):
    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        return self.over(mask, torch.ones_like(found))


class OnePixelEach(Overlap):
    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        return mask * found


class Pooled(Overlap):
    def over(self, both: Tensor, either: Tensor) -> Tensor:
        return (both.sum() / either.sum()).expand(len(both))


class Lopsided(Overlap):
    """Counts what was not damaged, and goes to infinity where nothing was."""

    higher_is_better = False

    def __call__(self, mask: Tensor, found: Tensor) -> Tensor:
        return self.over(found * (1 - mask), mask)


class Spoilt(Overlap):
    """An image with nothing to score spoils the others."""

    def over(self, both: Tensor, either: Tensor) -> Tensor:
        scores = super().over(both, either)
        return scores + 0 * scores.sum()


class Halting(Overlap):
    def over(self, both: Tensor, either: Tensor) -> Tensor:
        if not either[0].any():
            raise ZeroDivisionError("no pixels")
        return super().over(both, either)


def test_a_right_metric_of_masks_passes() -> None:
    testing.check_metric(Overlap())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            SaysLess(),
            "does not order the true mask, a slightly and a very wrong one as higher_is_better = "
            "False says: 1, ",
        ),
        (AllAlike(), "AllAlike does not order the true mask, a slightly and a very wrong one"),
        (TruthAlone(), "does not order the true mask, a slightly and a very wrong one"),
        (OnePixelEach(), "has to return one number an image, [2] here, not [2, 1, 64, 64]"),
        (Pooled(), "Pooled scores an image otherwise alone than in a batch"),
        (Lopsided(), "gives inf for an image whose mask is empty"),
        (Spoilt(), "whose mask and found is empty, and nan for the one beside it; a number is"),
        (Halting(), "Halting fails on images of 64 × 64: ZeroDivisionError: no pixels"),
    ],
)
def test_metrics_of_masks(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_metric, wrong)
