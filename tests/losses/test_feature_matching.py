import pytest
import torch

from frx import testing
from frx_losses.feature_matching import feature_matching
from frx_models.multiscale_patchgan import MultiscalePatchGAN


def test_keeps_the_promises_of_a_loss():
    testing.check_loss(feature_matching)


def test_is_a_mean_a_layer_a_sum_a_scale_and_a_mean_over_scales():
    def layer(value, *shape):
        return torch.full(shape, float(value))

    made = [[layer(1, 2, 3, 4, 4), layer(5, 2, 7, 2, 2)], [layer(-1, 2, 3, 2, 2)]]
    real = [[layer(0, 2, 3, 4, 4), layer(2, 2, 7, 2, 2)], [layer(1, 2, 3, 2, 2)]]
    assert feature_matching(made, real).item() == pytest.approx(((1 + 3) + 2) / 2)


def test_falls_as_a_picture_comes_nearer_to_the_real_one():
    net = MultiscalePatchGAN(width=4)
    real, other = torch.rand(2, 1, 3, 32, 32)
    with torch.no_grad():
        seen = [net(real + share * (other - real), real)["features"] for share in (0, 0.25, 0.5, 1)]
    values = [feature_matching(one, seen[0]).item() for one in seen]
    assert values[0] == 0
    assert values == sorted(values)
