"""The checks of discriminators and adversarial losses, each sentence with one that earns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frx import testing

Says = Callable[..., None]


class Judge(nn.Module):
    """Right in everything; the wrong ones differ in one thing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 4, stride=2)

    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image)}


class Beside(Judge):
    """Also right: sees what was there before."""

    def forward(self, image: Tensor, degraded: Tensor, mask: Tensor) -> Any:
        features = self.layer(image - degraded * (1 - mask))
        return {"logits": features, "features": [[features]]}


class AtScales(Judge):
    """Right at two sizes, with what its layer gives at each."""

    def forward(self, image: Tensor) -> Any:
        logits = [self.layer(image), self.layer(F.avg_pool2d(image, 2))]
        return {"logits": logits, "features": [[scale.relu()] for scale in logits]}


class OfOneScale(AtScales):
    def forward(self, image: Tensor) -> Any:
        return super().forward(image) | {"features": [[self.layer(image)]]}


class WrongAtOne(AtScales):
    def forward(self, image: Tensor) -> Any:
        seen = super().forward(image)
        return seen | {"logits": [seen["logits"][0], seen["logits"][1].expand(-1, 2, -1, -1)]}


class Normed(Judge):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(self.norm(image))}


class SaidSo(Normed):
    differs_in_training = True


class Bare(Judge):
    def forward(self, image: Tensor) -> Any:
        return self.layer(image)


class Nameless(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"score": self.layer(image)}


class OneNumber(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image).mean(dim=(2, 3))}


class Colourful(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image).expand(-1, 3, -1, -1)}


class Infinite(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image) / 0}


class OfTheBatch(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image - image.mean(dim=0))}


class EvenOnly(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(F.pixel_shuffle(F.pixel_unshuffle(image, 2), 2))}


class Detached(Judge):
    """The fault that leaves a discriminator's loss at that of one who cannot tell."""

    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image.detach())}


class Mute(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image).detach()}


class Unlearnt(Judge):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)


class Outside(Judge):
    """Keeps a number where state_dict does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.rand(())

    def forward(self, image: Tensor) -> Any:
        return {"logits": self.scale * self.layer(image)}


class InPlace(Judge):
    def forward(self, image: Tensor) -> Any:
        return {"logits": self.layer(image.mul_(2).sub_(1))}


class Restorer(Judge):
    def forward(self, restored: Tensor) -> Any:
        return {"logits": self.layer(restored)}


def test_right_discriminators_pass() -> None:
    testing.check_discriminator(Judge(), Judge())
    testing.check_discriminator(Beside())
    testing.check_discriminator(SaidSo(), SaidSo())
    testing.check_discriminator(AtScales(), AtScales())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: "judge", "str is not an nn.Module"),
        (nn.Identity, "Identity has no parameter that could learn"),
        (Bare, 'Bare has to return tensors, or lists of them, by name with one "logits"'),
        (Nameless, 'has to return tensors, or lists of them, by name with one "logits"'),
        (OfOneScale, "has to give features as a list for each of its 2 scales"),
        (WrongAtOne, "gives logits[1] [2, 2, 15, 15] for [2, 3, 64, 64]; [2, 1, h, w] is wanted"),
        (OneNumber, "gives logits [2, 1] for [2, 3, 64, 64]; [2, 1, h, w] is wanted"),
        (Colourful, "gives logits [2, 3, 31, 31] for [2, 3, 64, 64]; [2, 1, h, w] is wanted"),
        (Infinite, "Infinite gives 'logits' with values that are not finite"),
        (OfTheBatch, "OfTheBatch gives a picture other logits alone than in a batch"),
        (EvenOnly, "EvenOnly fails on images of 70 × 53: RuntimeError: pixel_unshuffle"),
        (Detached, "Detached lets no gradient through to the image"),
        (Mute, 'Mute gives "logits" without gradients'),
        (Unlearnt, "Unlearnt has a parameter that gets no gradient: unused.weight"),
        (Normed, "Normed gives other results in training mode than in evaluation mode"),
        (Outside, "something it needs is not in its state_dict"),
        (InPlace, "InPlace changes its input"),
        (Restorer, "fails on images of 64 × 64: RecipeError: Restorer asks for restored"),
    ],
)
def test_discriminators(make: Callable[[], Any], sentence: str, says: Says) -> None:
    says(sentence, testing.check_discriminator, make(), make())


class Game:
    """Right in everything; the wrong ones differ in one thing."""

    cannot_tell = 1.0
    perfect = 0.0

    def real(self, logits: Tensor) -> Tensor:
        return F.relu(1 - logits)

    def fake(self, logits: Tensor) -> Tensor:
        return F.relu(1 + logits)

    def generator(self, logits: Tensor) -> Tensor:
        return -logits


class WithLabels(Game):
    """Also right: falls and rises only between its labels, which lie as near as they may."""

    cannot_tell = 0.51**2 / 4

    def real(self, logits: Tensor) -> Tensor:
        return (logits - 0.51).square()

    def fake(self, logits: Tensor) -> Tensor:
        return logits.square()


class Critic(Game):
    """Also right: a game without a lowest loss."""

    cannot_tell = 0.0
    perfect = -float("inf")

    def real(self, logits: Tensor) -> Tensor:
        return -logits

    def fake(self, logits: Tensor) -> Tensor:
        return logits + 0


class NoFake(Game):
    fake = None  # type: ignore[assignment]


class Averaged(Game):
    def real(self, logits: Tensor) -> Tensor:
        return super().real(logits).mean()


class Relative(Game):
    def fake(self, logits: Tensor) -> Tensor:
        return super().fake(logits - logits.mean())


class Naive(Game):
    def fake(self, logits: Tensor) -> Tensor:
        return -torch.log(1 - torch.sigmoid(logits))


class Rooted(Game):
    def real(self, logits: Tensor) -> Tensor:
        return (1 - logits).abs().sqrt()


class Cut(Game):
    def generator(self, logits: Tensor) -> Tensor:
        return -logits.detach()


class Swapped(Game):
    def real(self, logits: Tensor) -> Tensor:
        return super().fake(logits)


class Credulous(Game):
    def fake(self, logits: Tensor) -> Tensor:
        return super().real(logits)


class Helpful(Game):
    """Its generator helps the discriminator."""

    def generator(self, logits: Tensor) -> Tensor:
        return logits + 0


class Doubled(Game):
    cannot_tell = 2.0


class Unmarked(Game):
    perfect = None  # type: ignore[assignment]


class Pessimist(Game):
    perfect = 0.5


class Upside(Game):
    perfect = 1.0


@pytest.mark.parametrize("right", [Game(), WithLabels(), Critic()])
def test_right_games_pass(right: Game) -> None:
    testing.check_adversarial_loss(right)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (NoFake(), "NoFake has no method fake"),
        (Averaged(), "has to return one loss a logit in real, [1, 1, 1, 61] here, not []"),
        (Relative(), "Relative gives a logit another loss alone than beside others in fake"),
        (Naive(), "Naive has a loss that is not finite in fake, for a logit of 17, 18, 19"),
        (Rooted(), "Rooted has a gradient that is not finite in real, for a logit of 1"),
        (Cut(), "Cut lets no gradient through to the logits in generator"),
        (Swapped(), "Swapped has to fall with the logit around 0 in real, where it changes by 0.0"),
        (Credulous(), "Credulous has to rise with the logit around 0 in fake"),
        (Helpful(), "Helpful has to fall with the logit around 0 in generator"),
        (
            Doubled(),
            "says cannot_tell = 2, but with equal logits the discriminator's loss can come down to 1",
        ),
        (Unmarked(), "Unmarked has no number perfect"),
        (Pessimist(), "Pessimist says perfect = 0.5, but its loss can come down to 0"),
        (Upside(), "Upside says perfect = 1, which is not below cannot_tell = 1"),
    ],
)
def test_adversarial_losses(wrong: Game, sentence: str, says: Says) -> None:
    says(sentence, testing.check_adversarial_loss, wrong)
