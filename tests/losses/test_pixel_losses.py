import pytest
import torch

from frx_losses.l1 import l1
from frx_losses.mse import mse


@pytest.mark.parametrize(("loss", "expected"), [(l1, 0.25), (mse, 0.085)])
def test_known_value(loss, expected):
    clean = torch.full((2, 3, 4, 5), 0.5)
    restored = clean.clone()
    restored[:, :, :2] += 0.1  # half of the pixels by +0.1, half by −0.4
    restored[:, :, 2:] -= 0.4
    assert loss(restored, clean).item() == pytest.approx(expected, abs=1e-6)
    assert loss(clean, restored).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", [l1, mse])
def test_least_and_zero_at_equality(loss):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 8, 8, generator=generator)
    assert loss(clean, clean).item() == 0
    assert loss(clean + 0.01, clean).item() > 0


@pytest.mark.parametrize("loss", [l1, mse])
def test_gradient_points_away_from_the_clean_image(loss):
    clean = torch.full((1, 3, 4, 4), 0.5)
    restored = (clean + 0.1).requires_grad_()
    loss(restored, clean).backward()
    assert restored.grad is not None
    assert restored.grad.min() > 0
    assert restored.grad.sum().item() == pytest.approx({l1: 1.0, mse: 0.2}[loss], abs=1e-5)


@pytest.mark.parametrize("loss", [l1, mse])
def test_half_precision_is_summed_in_float32(loss):
    clean = torch.zeros(1, 3, 64, 64)
    restored = torch.full((1, 3, 64, 64), 0.25, dtype=torch.bfloat16)
    value = loss(restored, clean)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx({l1: 0.25, mse: 0.0625}[loss], abs=1e-7)
