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


@pytest.mark.parametrize(("loss", "expected"), [(l1, 0.3), (mse, 0.11)])
def test_known_value_in_a_region(loss, expected):
    clean = torch.full((2, 3, 4, 5), 0.5)
    restored = clean.clone()
    region = torch.zeros(2, 1, 4, 5)
    region[0, 0, 0, :3], region[1, 0, 1, 2] = 1, 1
    restored[0, :, 0, :3] += 0.1  # three of the region's pixels in one picture, one in the other
    restored[1, :, 1, 2] -= 0.9 if loss is l1 else 0.41**0.5
    restored[1, :, 3] = 0  # outside
    assert loss(restored, clean, region).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", [l1, mse])
def test_is_what_torch_gives(loss):
    generator = torch.Generator().manual_seed(0)
    restored, clean = torch.rand(2, 2, 3, 8, 9, generator=generator)
    reference = {l1: torch.nn.functional.l1_loss, mse: torch.nn.functional.mse_loss}[loss]
    assert loss(restored, clean) == reference(restored, clean)
    inside = reference(restored[..., 2:5], clean[..., 2:5])
    region = torch.zeros(2, 1, 8, 9)
    region[..., 2:5] = 1
    torch.testing.assert_close(loss(restored, clean, region), inside)
