"""The perceptual loss, with random weights: what it computes, and what it says without any."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from frx.errors import DataError, RecipeError
from frx.recipe import load
from frx.tensor_file import load_tensors
from frx_losses.perceptual import DEVIATION, LAYERS, MEAN, Perceptual


@pytest.fixture
def loss(random_squeezenet: str) -> Perceptual:
    return Perceptual(network="squeezenet1_1", weights=random_squeezenet)


def by_hand(network: str, tensors: dict[str, Tensor], picture: Tensor) -> dict[str, Tensor]:
    """What each layer of `features` gives, one after the other."""
    import torchvision

    built = torchvision.models.get_model(network, weights=None).features.eval()
    built.load_state_dict(
        {k.removeprefix("features."): t for k, t in tensors.items() if k.startswith("features.")}
    )
    mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    x, seen = (picture - mean) / deviation, {}
    for name, layer in built.named_children():
        x = layer(x)
        seen[f"features.{name}"] = x.clone()
        x = x.clone()
    return seen


def test_is_the_weighted_sum_of_mean_absolute_differences(
    random_squeezenet: str, clean: Tensor
) -> None:
    layers = {"features.1": 0.5, "features.4": 2.0}
    loss = Perceptual(network="squeezenet1_1", weights=random_squeezenet, layers=layers)
    tensors = load_tensors(random_squeezenet)
    made, wanted = (by_hand("squeezenet1_1", tensors, picture) for picture in (1 - clean, clean))
    expected = sum(weight * F.l1_loss(made[name], wanted[name]) for name, weight in layers.items())
    torch.testing.assert_close(loss(1 - clean, clean), expected)


def test_vgg_19_is_compared_behind_the_first_relu_of_each_block(
    tmp_path: Path, clean: Tensor
) -> None:
    """Its features alone are 80 MB; those of the classifier's file that are not there are not asked for."""
    import torchvision

    features = torchvision.models.vgg19(weights=None).features
    tensors = {f"features.{key}": tensor for key, tensor in features.state_dict().items()}
    torch.save(tensors, tmp_path / "vgg.pth")
    loss = Perceptual(weights=str(tmp_path / "vgg.pth"))
    small = clean[:1, :, :32, :32]
    made, wanted = (by_hand("vgg19", tensors, picture) for picture in (1 - small, small))
    channels = [made[name].shape[1] for name in LAYERS["vgg19"]]
    assert channels == [64, 128, 256, 512, 512]
    assert all(made[name].min() >= 0 for name in LAYERS["vgg19"])
    shares = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]
    expected = sum(
        share * F.l1_loss(made[name], wanted[name])
        for share, name in zip(shares, LAYERS["vgg19"], strict=True)
    )
    torch.testing.assert_close(loss(1 - small, small), expected)


def test_a_network_of_timms_by_name(random_embedding: str, clean: Tensor) -> None:
    layers = {"stages.0": 1.0, "stages.1": 1.0}
    loss = Perceptual(network="edgenext_xx_small", weights=random_embedding, layers=layers)
    values = [loss((clean + s).clamp(0, 1), clean).item() for s in (0, 0.1, 0.3)]
    assert values[0] == 0
    assert values == sorted(set(values))


def test_only_the_restored_picture_gets_a_gradient_and_nothing_is_kept(
    loss: Perceptual, clean: Tensor
) -> None:
    restored = (1 - clean).requires_grad_(True)
    clean.requires_grad_(True)
    torch.autograd.backward(loss(restored, clean))
    assert restored.grad is not None
    assert restored.grad.any()
    assert clean.grad is None
    assert all(parameter.grad is None for parameter in loss.parameters())
    assert not loss._seen


def test_is_the_same_in_training_mode_and_under_autocast(loss: Perceptual, clean: Tensor) -> None:
    value = loss(1 - clean, clean)
    assert torch.equal(loss.train()(1 - clean, clean), value)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(1 - clean, clean), value)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({}, DataError, "run `frx fetch vgg19`"),
        ({"network": "resnet1"}, ValueError, "neither torchvision nor timm has an image network"),
        ({"network": "resnet18"}, ValueError, "layers has to name some modules of resnet18: conv1"),
        (
            {"network": "resnet18", "layers": {"layer9": 1.0}},
            ValueError,
            "layers: resnet18 has no module 'layer9'; did you mean layer",
        ),
        (
            {"network": "resnet18", "layers": {"fc": 1.0}},
            ValueError,
            "layers: resnet18 has no module 'fc'",
        ),
        (
            {"network": "resnet18", "layers": {"layer1": 1.0}},
            DataError,
            "needs trained weights of resnet18: a path, or a name",
        ),
        (
            {"network": "resnet18", "layers": {"layer1": 1.0}, "weights": "<random_squeezenet>"},
            DataError,
            "does not hold the weights of resnet18: conv1.weight is missing",
        ),
    ],
)
def test_what_is_missing_is_said(
    options: dict[str, object],
    error: type[Exception],
    sentence: str,
    random_squeezenet: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    given = {k: random_squeezenet if v == "<random_squeezenet>" else v for k, v in options.items()}
    with pytest.raises(error) as raised:
        Perceptual(**given)  # type: ignore[arg-type]
    assert sentence in str(raised.value)


def test_a_file_with_another_hash_than_its_name_says_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_squeezenet: str
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/vgg19-dcbb9e9d.pth").write_bytes(Path(random_squeezenet).read_bytes())
    with pytest.raises(DataError, match="expected dcbb9e9d; delete it, then run `frx fetch vgg19`"):
        Perceptual()


def test_a_recipe_names_layers_and_their_weights(tmp_path: Path, random_squeezenet: str) -> None:
    text = f"""
name = "tiny"
data = {{ use = "synthetic_faces", size = 32, count = 8 }}
degradations = [{{ use = "gaussian_noise" }}]
model = {{ use = "unet", width = 4 }}
[[stages]]
name = "only"
epochs = 1
  [[stages.losses]]
  use = "perceptual"
  network = "squeezenet1_1"
  weights = {random_squeezenet!r}
  layers = {{ "features.1" = 0.5, "features.4" = 1 }}
"""
    (tmp_path / "tiny.toml").write_text(text)
    built = load(tmp_path / "tiny.toml").stages[0].losses[0].loss.build()
    assert built.layer_weights == {"features.1": 0.5, "features.4": 1.0}
    (tmp_path / "tiny.toml").write_text(text.replace("0.5", '"half"'))
    with pytest.raises(RecipeError, match=r'layers\."features\.1"'):
        load(tmp_path / "tiny.toml")
