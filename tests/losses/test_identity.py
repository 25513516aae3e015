"""The identity loss, with random weights: what it is least at, what learns and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from frx.errors import DataError
from frx_losses.identity import Identity


@pytest.fixture
def loss(random_embedding: str) -> Identity:
    return Identity(backbone="edgeface_xxs", weights=random_embedding)


def test_is_least_at_equality(loss: Identity, clean: Tensor) -> None:
    same, other = loss(clean, clean), loss(1 - clean, clean)
    assert same.shape == ()
    assert same.item() == pytest.approx(0, abs=1e-6)
    assert other.item() > 1e-4


def test_is_the_mean_over_pictures(loss: Identity, clean: Tensor) -> None:
    both = loss(1 - clean, clean)
    each = [loss(1 - clean[i : i + 1], clean[i : i + 1]).item() for i in range(2)]
    assert both.item() == pytest.approx(sum(each) / 2, rel=1e-3)


def test_only_the_restored_picture_gets_a_gradient(loss: Identity, clean: Tensor) -> None:
    restored = (1 - clean).requires_grad_(True)
    clean.requires_grad_(True)
    torch.autograd.backward(loss(restored, clean))
    assert restored.grad is not None
    assert restored.grad.abs().max() > 0
    assert clean.grad is None
    assert all(parameter.grad is None for parameter in loss.embed.parameters())


def test_descent_brings_it_down_and_leaves_the_network(loss: Identity, clean: Tensor) -> None:
    before = {key: value.clone() for key, value in loss.embed.state_dict().items()}
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    restored = (clean + 0.3 * noise).requires_grad_(True)
    optimizer = torch.optim.Adam([restored], lr=0.01)
    history = []
    for _ in range(8):
        optimizer.zero_grad()
        value = loss(restored, clean)
        torch.autograd.backward(value)
        optimizer.step()
        history.append(value.item())
    assert history[-1] < 0.7 * history[0]
    for key, value in loss.embed.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_missing_weights_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"20180402-114759-vggface2\.pt.*frx fetch"):
        Identity()
