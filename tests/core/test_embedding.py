"""Identity embeddings: loading, freezing and cropping, with random weights files.

Where FRX_WEIGHTS and FRX_PHOTOS name folders, also the real networks on real photographs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from frx import images
from frx.embedding import (
    CELEBA_BOX,
    CELEBA_SQUARE_BOX,
    FFHQ_BOX,
    WHOLE_PICTURE,
    Backbone,
    Box,
    FaceEmbedding,
    face_distance,
)
from frx.errors import DataError

WEIGHTS, PHOTOS = os.environ.get("FRX_WEIGHTS"), os.environ.get("FRX_PHOTOS")
needs_photographs = pytest.mark.skipif(
    not (WEIGHTS and PHOTOS), reason="FRX_WEIGHTS and FRX_PHOTOS do not both name folders"
)


def random_network() -> Any:
    import timm

    with torch.random.fork_rng():  # networks draw their first weights from torch's own stream
        torch.manual_seed(0)
        network: Any = timm.create_model("edgenext_xx_small", pretrained=False)
        network.reset_classifier(512)
    return network.eval()


@pytest.fixture(scope="module")
def edgenext() -> Any:
    return random_network()


@pytest.fixture(scope="module")
def weights(edgenext: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(edgenext.state_dict(), path)
    return str(path)


@pytest.fixture
def faces() -> Tensor:
    return torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def embed(weights: str) -> FaceEmbedding:
    return FaceEmbedding(backbone="edgeface_xxs", weights=weights)


class TestForward:
    def test_is_the_network_on_a_scaled_picture(
        self, embed: FaceEmbedding, edgenext: nn.Module
    ) -> None:
        face = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = edgenext(face * 255 / 127.5 - 1)
            expected = expected / expected.norm(dim=1, keepdim=True)
            assert torch.allclose(embed(face), expected, atol=1e-6)

    def test_gives_unit_vectors(self, embed: FaceEmbedding, faces: Tensor) -> None:
        vectors = embed(faces)
        assert vectors.shape == (3, 512)
        assert torch.allclose(vectors.norm(dim=1), torch.ones(3))

    def test_one_face_does_not_depend_on_the_others(
        self, embed: FaceEmbedding, faces: Tensor
    ) -> None:
        embed.train()
        assert not any(module.training for module in embed.modules())
        assert torch.allclose(embed(faces)[:1], embed(faces[:1]), atol=1e-5)

    def test_is_frozen_but_lets_gradients_through(
        self, embed: FaceEmbedding, faces: Tensor
    ) -> None:
        assert not any(parameter.requires_grad for parameter in embed.parameters())
        faces.requires_grad_(True)
        torch.autograd.backward(embed(faces)[:, 0].sum())
        assert faces.grad is not None
        assert faces.grad.abs().amax(dim=(1, 2, 3)).min() > 0

    def test_stays_float32_under_autocast(self, embed: FaceEmbedding, faces: Tensor) -> None:
        plain = embed(faces)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(embed(faces), plain)
        assert embed(faces.bfloat16()).dtype == torch.float32

    @pytest.mark.parametrize("shape", [(96, 96), (97, 51), (16, 16), (3, 300)])
    def test_takes_any_size_and_layout(self, embed: FaceEmbedding, shape: tuple[int, int]) -> None:
        face = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
        channels_last = face.contiguous(memory_format=torch.channels_last)
        assert torch.allclose(embed(channels_last), embed(face), atol=1e-5)

    def test_sees_only_its_box(self, weights: str, faces: Tensor) -> None:
        embed = FaceEmbedding(
            backbone="edgeface_xxs", weights=weights, face_box=(0.25, 0.5, 0.75, 1.0)
        )
        outside = faces.clone()
        outside[..., :48, :] = 0
        outside[..., :24] = 0
        outside[..., 72:] = 0
        assert torch.equal(embed(outside), embed(faces))
        inside = faces.clone()
        inside[..., 48:60, 24:40] = 0
        assert face_distance(embed(inside), embed(faces)).min() > 1e-5

    @pytest.mark.parametrize(
        "box", [(0.5, 0.0, 0.5, 1.0), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.1)]
    )
    def test_refuses_an_impossible_box(self, weights: str, box: Box) -> None:
        with pytest.raises(ValueError, match="left, top, right, bottom are fractions"):
            FaceEmbedding(backbone="edgeface_xxs", weights=weights, face_box=box)


class TestInceptionResnet:
    def test_is_facenets_network_without_its_classifier(self, tmp_path: Path) -> None:
        from facenet_pytorch import InceptionResnetV1

        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = InceptionResnetV1(pretrained=None, classify=False).eval()
        state = network.state_dict() | {"logits.weight": torch.zeros(4, 512)}
        torch.save(state, tmp_path / "w.pt")
        embed = FaceEmbedding(backbone="inception_resnet_v1", weights=str(tmp_path / "w.pt"))
        face = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network((face * 255 - 127.5) / 128)
            assert torch.allclose(embed(face), expected, atol=1e-6)
            large = embed(
                face.repeat_interleave(2, 2).contiguous(memory_format=torch.channels_last)
            )
        assert large.shape == (2, 512)
        assert embed.protocol.endswith("whole picture at 160 px")


class TestWeights:
    @pytest.mark.parametrize("backbone", ["inception_resnet_v1", "edgeface_xs", "edgeface_xxs"])
    def test_missing_says_which_file_and_what_to_do(
        self, backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FRX_CACHE", str(tmp_path))
        with pytest.raises(DataError) as raised:
            FaceEmbedding(backbone=backbone)
        for part in (str(tmp_path), f"`frx fetch {backbone}`", "weights = "):
            assert part in str(raised.value)

    def test_published_layout_with_low_rank_layers(self, tmp_path: Path) -> None:
        network = random_network()
        published: dict[str, Tensor] = {}
        for name, module in network.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            first = torch.randn(5, module.in_features) / 20
            second = torch.randn(module.out_features, 5) / 20
            module.weight.data = second @ first
            published |= {
                f"model.{name}.linear1.weight": first,
                f"model.{name}.linear2.weight": second,
                f"model.{name}.linear2.bias": module.bias.data,
            }
        whole = {f"model.{key}": value for key, value in network.state_dict().items()}
        layers = {key.rsplit(".", 2)[0] for key in published}
        published |= {k: v for k, v in whole.items() if k.rsplit(".", 1)[0] not in layers}
        torch.save(published, tmp_path / "low.pt")
        embed = FaceEmbedding(backbone="edgeface_xxs", weights=str(tmp_path / "low.pt"))
        for key, value in embed.network.state_dict().items():
            assert torch.equal(value, network.state_dict()[key]), key

    def test_of_another_network_are_refused(self, weights: str) -> None:
        with pytest.raises(DataError, match="does not hold the weights of edgeface_xs") as raised:
            FaceEmbedding(backbone="edgeface_xs", weights=weights)
        assert "\n" not in str(raised.value)

    def test_with_holes_are_refused(self, edgenext: nn.Module, tmp_path: Path) -> None:
        state = {key: value.clone() for key, value in edgenext.state_dict().items()}
        state["stem.0.bias"][0] = float("nan")
        torch.save(state, tmp_path / "nan.pt")
        with pytest.raises(DataError, match=r"stem\.0\.bias is not finite"):
            FaceEmbedding(backbone="edgeface_xxs", weights=str(tmp_path / "nan.pt"))


def test_distance_is_one_minus_cosine() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert face_distance(a, b).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("box", "width", "height", "eyes"),
    [
        (FFHQ_BOX, 256, 256, [(96.5, 120), (159.5, 120)]),
        (CELEBA_BOX, 178, 218, [(69.5, 111.5), (108.5, 111.5)]),
        (CELEBA_SQUARE_BOX, 178, 178, [(69.5, 91.5), (108.5, 91.5)]),
    ],
)
def test_boxes_bring_the_eyes_to_arcfaces_place(
    box: Box, width: int, height: int, eyes: list[tuple[float, float]]
) -> None:
    left, top, right, bottom = box
    assert (right - left) * width == pytest.approx((bottom - top) * height, abs=0.5)
    for (x, y), wanted in zip(eyes, [(38.3, 51.7), (73.5, 51.5)], strict=True):
        there = (
            112 * (x / width - left) / (right - left),
            112 * (y / height - top) / (bottom - top),
        )
        assert there == pytest.approx(wanted, abs=3)


@needs_photographs
class TestPhotographs:
    @staticmethod
    def real(backbone: Backbone, box: Box) -> FaceEmbedding:
        path = Path(str(WEIGHTS), f"{backbone}_fp32_dequant.pth")
        return FaceEmbedding(backbone=backbone, weights=str(path), face_box=box)

    @staticmethod
    def load(folder: str, count: int) -> Tensor:
        paths = sorted(Path(str(PHOTOS), "faces", folder).glob("*.jpg"))[:count]
        pictures = np.stack([images.read_rgb(path) for path in paths])
        return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255

    @pytest.mark.parametrize("backbone", ["edgeface_xs", "edgeface_xxs"])
    def test_orders_clean_worse_and_somebody_else(self, backbone: Backbone) -> None:
        clean = self.load("omi_256", 12)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        embed = self.real(backbone, FFHQ_BOX)
        with torch.no_grad():
            wanted = embed(clean)
            means = [
                face_distance(embed(other), wanted).mean().item()
                for other in (
                    clean,
                    (clean + 0.05 * noise).clamp(0, 1),
                    (clean + 0.3 * noise).clamp(0, 1),
                    clean.roll(1, 0),
                )
            ]
        assert means[0] == pytest.approx(0, abs=1e-6)
        assert means == sorted(means)
        assert means[1] < 0.1 < means[2]
        assert means[3] > 0.8

    def test_box_tells_people_apart(self) -> None:
        clean = self.load("celeba_178x218", 100)

        def mean_likeness(box: Box) -> float:
            with torch.no_grad():
                vectors = self.real("edgeface_xxs", box)(clean)
            return float((vectors @ vectors.T).fill_diagonal_(0).sum() / (100 * 99))

        assert abs(mean_likeness(CELEBA_BOX)) < 0.06
        assert mean_likeness(WHOLE_PICTURE) > 0.15
