"""The metric `identity_distance`, with random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from frx.errors import DataError
from frx_metrics.identity_distance import IdentityDistance


@pytest.fixture
def clean() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_one_number_an_image_lower_is_better(random_embedding: str, clean: Tensor) -> None:
    metric = IdentityDistance(backbone="edgeface_xxs", weights=random_embedding)
    restored = clean.clone().requires_grad_(True)
    assert metric(restored, clean).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert not metric(restored, clean).requires_grad
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    slightly, badly = metric(clean + 0.02 * noise, clean), metric(clean + 0.5 * noise, clean)
    assert slightly.shape == badly.shape == (3,)
    assert (slightly < badly).all()
    assert IdentityDistance.higher_is_better is False


def test_an_image_is_scored_alike_in_any_batch(random_embedding: str, clean: Tensor) -> None:
    metric = IdentityDistance(backbone="edgeface_xxs", weights=random_embedding)
    together = metric(1 - clean, clean)
    alone = torch.cat([metric(1 - clean[i : i + 1], clean[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_protocol_names_network_weights_and_crop(random_embedding: str) -> None:
    digest = hashlib.sha256(Path(random_embedding).read_bytes()).hexdigest()[:12]
    whole = IdentityDistance(backbone="edgeface_xxs", weights=random_embedding)
    part = IdentityDistance(
        backbone="edgeface_xxs", weights=random_embedding, face_box=(0.1, 0.1, 0.9, 0.95)
    )
    assert whole.protocol == (
        f"1 − cosine, edgeface_xxs (weights sha256 {digest}), whole picture at 112 px"
    )
    assert "face box 0.1, 0.1, 0.9, 0.95 at 112 px" in part.protocol


def test_missing_weights_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="frx fetch inception_resnet_v1"):
        IdentityDistance()
