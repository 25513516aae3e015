import math

import pytest
import torch
from torch.nn import functional as F

from frx.errors import RecipeError
from frx_losses.bce import bce


def test_known_values():
    target = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    assert bce(torch.zeros(1, 1, 1, 2), target).item() == pytest.approx(math.log(2))
    # A probability of 3/4 where it is damaged, and of 1/4 where it is not: −log(3/4) each.
    logits = torch.tensor([math.log(3), -math.log(3)]).reshape(1, 1, 1, 2)
    assert bce(logits, target).item() == pytest.approx(-math.log(0.75))
    assert bce(-logits, target).item() == pytest.approx(-math.log(0.25))


def test_it_is_the_cross_entropy_of_the_probabilities_meant():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 1, 8, 9, generator=generator)
    target = (torch.rand(2, 1, 8, 9, generator=generator) < 0.3).float()
    expected = F.binary_cross_entropy(logits.double().sigmoid(), target.double())
    assert bce(logits, target).item() == pytest.approx(expected.item(), rel=1e-6)


def test_sure_logits_cost_nothing_when_right_and_their_size_when_wrong():
    target = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    sure = torch.tensor([80.0, -80.0]).reshape(1, 1, 1, 2)
    assert bce(sure, target).item() == pytest.approx(0, abs=1e-30)
    assert bce(-sure, target).item() == pytest.approx(80)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(2, 1, 64, 64, generator=generator)).to(dtype)
    target = (torch.rand(2, 1, 64, 64, generator=generator) < 0.3).float()
    value = bce(logits, target)
    assert value.dtype == torch.float32
    assert torch.equal(value, bce(logits.float(), target))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(bce(logits, target), value)


def test_the_gradient_is_the_error_of_the_probability():
    logits = torch.tensor([2.0, -1.0, 0.0, 60.0]).reshape(1, 1, 2, 2).requires_grad_(True)
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    bce(logits, target).backward()
    expected = (logits.detach().sigmoid() - target) / 4
    torch.testing.assert_close(logits.grad, expected)


def test_a_picture_as_target_is_refused():
    with pytest.raises(
        RecipeError, match=r"\[2, 1, 4, 5\] and their target \[2, 3, 4, 5\]; a mask"
    ):
        bce(torch.zeros(2, 1, 4, 5), torch.zeros(2, 3, 4, 5))
