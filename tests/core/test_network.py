"""A network with its optimiser: the length of its gradients, and what a step leaves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from frx.build import Use
from frx.network import Network
from frx.registry import find


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1))
    return Network.of(module, Use(find("optimizer", "sgd"), {"lr": 0.5, "momentum": 0.0}))


def learn(network: Network) -> list[Tensor]:
    network.module(torch.rand(2, 3, 8, 8)).mean().backward()
    return [p.grad.clone() for p in network.module.parameters() if p.grad is not None]


def test_the_length_of_the_gradients_is_torchs(network: Network) -> None:
    gradients = learn(network)
    assert torch.equal(network.gradient_norm(), torch.nn.utils.get_total_norm(gradients))


def test_weights_without_gradients_do_not_count(network: Network) -> None:
    network.module[0].requires_grad_(False)  # type: ignore[index]
    gradients = learn(network)
    assert len(gradients) == 2
    assert torch.equal(network.gradient_norm(), torch.nn.utils.get_total_norm(gradients))


def test_no_gradient_at_all_has_no_length(network: Network) -> None:
    assert network.gradient_norm() == 0


def test_a_step_goes_as_far_as_the_schedule_says_and_leaves_no_gradient(network: Network) -> None:
    gradients = learn(network)
    before = [p.detach().clone() for p in network.module.parameters()]
    network.pending = 1
    network.step(0.25)
    for was, gradient, parameter in zip(
        before, gradients, network.module.parameters(), strict=True
    ):
        torch.testing.assert_close(parameter.detach(), was - 0.125 * gradient)
        assert parameter.grad is None
    assert network.pending == 0
