"""The metric `identity_distance`, with random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from frx.errors import DataError
from frx_metrics.identity_distance import IdentityDistance


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm

    with torch.random.fork_rng():  # timm draws its first weights from torch's own stream
        torch.manual_seed(0)
        network: Any = timm.create_model("edgenext_xx_small", pretrained=False)
        network.reset_classifier(512)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def clean() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_one_number_an_image_lower_is_better(weights: Path, clean: Tensor) -> None:
    metric = IdentityDistance(backbone="edgeface_xxs", weights=str(weights))
    restored = clean.clone().requires_grad_(True)
    assert metric(restored, clean).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert not metric(restored, clean).requires_grad
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    slightly, badly = metric(clean + 0.02 * noise, clean), metric(clean + 0.5 * noise, clean)
    assert slightly.shape == badly.shape == (3,)
    assert (slightly < badly).all()
    assert IdentityDistance.higher_is_better is False


def test_an_image_is_scored_alike_in_any_batch(weights: Path, clean: Tensor) -> None:
    metric = IdentityDistance(backbone="edgeface_xxs", weights=str(weights))
    together = metric(1 - clean, clean)
    alone = torch.cat([metric(1 - clean[i : i + 1], clean[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_protocol_names_network_weights_and_crop(weights: Path) -> None:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    whole = IdentityDistance(backbone="edgeface_xxs", weights=str(weights))
    part = IdentityDistance(
        backbone="edgeface_xxs", weights=str(weights), face_box=(0.1, 0.1, 0.9, 0.95)
    )
    assert whole.protocol == (
        f"1 − cosine, edgeface_xxs (weights sha256 {digest}), whole picture at 112 px"
    )
    assert "face box 0.1, 0.1, 0.9, 0.95 at 112 px" in part.protocol


def test_missing_weights_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="frx fetch inception_resnet_v1"):
        IdentityDistance()
