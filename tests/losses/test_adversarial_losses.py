"""The three games: numbers from torch, from their papers and from numerical minimisation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from frx.build import converter_for
from frx.specs import AdversarialLoss
from frx.strict import Mistakes
from frx_losses.hinge import Hinge
from frx_losses.least_squares import LeastSquares
from frx_losses.vanilla import Vanilla

LOGITS = torch.linspace(-30, 30, 121)


@pytest.mark.parametrize("label", [1.0, 0.9, 0.6])
def test_vanilla_is_torchs_cross_entropy(label: float) -> None:
    loss = Vanilla(real_label=label)

    def expected(target: float) -> Tensor:
        logits = LOGITS.double()  # in float32 its own result is off by 1e-6
        targets = torch.full_like(logits, target)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").float()

    torch.testing.assert_close(loss.real(LOGITS), expected(label), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.fake(LOGITS), expected(0), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(loss.generator(LOGITS), expected(1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("label", [1.0, 0.9, 0.6])
def test_least_squares_are_torchs_squared_error(label: float) -> None:
    loss = LeastSquares(real_label=label)

    def expected(target: float) -> Tensor:
        return F.mse_loss(LOGITS, torch.full_like(LOGITS, target), reduction="none")

    torch.testing.assert_close(loss.real(LOGITS), expected(label))
    torch.testing.assert_close(loss.fake(LOGITS), expected(0))
    torch.testing.assert_close(loss.generator(LOGITS), expected(1))


def test_hinge_has_the_numbers_of_its_paper() -> None:
    logits = torch.tensor([-3.0, -1, -0.5, 0, 0.5, 1, 3])
    loss = Hinge()
    assert loss.real(logits).tolist() == [4, 2, 1.5, 1, 0.5, 0, 0]
    assert loss.fake(logits).tolist() == [0, 0, 0.5, 1, 1.5, 2, 4]
    assert loss.generator(logits).tolist() == [3, 1, 0.5, 0, -0.5, -1, -3]


def after_descent(loss: AdversarialLoss) -> float:
    """The mean of both halves that is reached with one logit for all pictures."""
    logit = torch.tensor(2.5, requires_grad=True)
    optimizer = torch.optim.Adam([logit], lr=0.1)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 1e-3, total_iters=300)
    value = torch.zeros(())
    for _ in range(300):
        optimizer.zero_grad()
        value = (loss.real(logit) + loss.fake(logit)) / 2
        torch.autograd.backward(value)
        optimizer.step()
        decay.step()
    return value.item()


@pytest.mark.parametrize(
    ("loss", "cannot_tell", "perfect"),
    [
        (Vanilla(), math.log(2), 0),
        (Vanilla(real_label=0.9), 0.688139, 0.162541),  # of 0.45 : 0.55, half of that of 0.9 : 0.1
        (Vanilla(real_label=0.6), 0.610864, 0.336506),
        (LeastSquares(), 0.25, 0),
        (LeastSquares(real_label=0.9), 0.2025, 0),
        (Hinge(), 1, 0),
    ],
)
def test_the_marks_are_where_minimising_ends(
    loss: AdversarialLoss, cannot_tell: float, perfect: float
) -> None:
    assert after_descent(loss) == pytest.approx(cannot_tell, abs=1e-4)
    logits = torch.linspace(-30, 30, 6001)
    each_right = (loss.real(logits).min() + loss.fake(logits).min()) / 2
    assert each_right.item() == pytest.approx(perfect, abs=1e-4)
    assert loss.cannot_tell == pytest.approx(cannot_tell, abs=1e-6)
    assert loss.perfect == pytest.approx(perfect, abs=1e-6)


def test_a_generator_that_fools_nobody_still_learns() -> None:
    caught = torch.tensor(-25.0, requires_grad=True)
    for loss in (Vanilla(), LeastSquares(), Hinge()):
        (gradient,) = torch.autograd.grad(loss.generator(caught), caught)
        assert gradient.item() <= -1 + 1e-6
    (saturated,) = torch.autograd.grad(-Vanilla().fake(caught), caught)
    assert abs(saturated.item()) < 1e-10


@pytest.mark.parametrize("game", [Vanilla, LeastSquares])
def test_only_real_targets_are_smoothed(game: Any) -> None:
    hard, smooth = game(), game(real_label=0.9)
    assert torch.equal(hard.fake(LOGITS), smooth.fake(LOGITS))
    assert torch.equal(hard.generator(LOGITS), smooth.generator(LOGITS))
    best = LOGITS[smooth.real(LOGITS).argmin()].item()
    assert best == {Vanilla: 2.0, LeastSquares: 1.0}[game]  # nearest to ln 9 and to 0.9


@pytest.mark.parametrize("loss", [Vanilla(), LeastSquares(), Hinge()])
def test_half_precision_logits_have_losses_in_float32(loss: AdversarialLoss) -> None:
    for of in (loss.real, loss.fake, loss.generator):
        with torch.autocast("cpu", torch.bfloat16):
            assert of(LOGITS.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("name", ["vanilla", "least_squares"])
def test_a_label_of_a_half_or_beyond_1_is_refused(name: str) -> None:
    converter = converter_for(["adversarial_loss"])
    for label in (0.5, 1.01):
        with pytest.raises(Mistakes, match=f"{label}"):
            converter.structure({"use": name, "real_label": label}, AdversarialLoss)
    use = converter.structure({"use": name, "real_label": 0.9}, AdversarialLoss)
    assert use.build().real_label == 0.9
