"""The loss `lpips`, with random trunks: its number is the metric's, its gradient what that says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from frx.errors import DataError
from frx.tensor_file import load_tensors
from frx_losses.lpips import LPIPS as Loss
from frx_metrics.lpips import LPIPS as Metric

Frx = Callable[..., tuple[int, str, str]]


@pytest.fixture
def loss(random_squeezenet: str) -> Loss:
    return Loss(network="squeeze", weights=random_squeezenet)


def test_is_the_mean_of_what_the_metric_says_of_each_image(
    loss: Loss, random_squeezenet: str, clean: Tensor
) -> None:
    each = Metric(network="squeeze", weights=random_squeezenet)(1 - clean, clean)
    value = loss(1 - clean, clean)
    assert value.shape == ()
    assert value.item() == pytest.approx(each.mean().item(), rel=1e-6)
    assert loss(clean, clean).item() == 0


def test_a_step_against_its_gradient_changes_the_metric_as_the_gradient_says(
    loss: Loss, random_squeezenet: str, clean: Tensor
) -> None:
    metric = Metric(network="squeeze", weights=random_squeezenet)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    restored = (clean + 0.2 * noise).clamp(0, 1).requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(restored, clean), restored)
    step = 0.01 * slope / slope.norm()
    before, after = (metric(restored + sign * step, clean).mean().item() for sign in (-1, 1))
    assert after - before == pytest.approx(2 * (slope * step).sum().item(), rel=0.02)
    assert after > before


def test_the_gradient_reaches_the_restored_picture_alone(loss: Loss, clean: Tensor) -> None:
    restored = (1 - clean).requires_grad_(True)
    clean.requires_grad_(True)
    torch.autograd.backward(loss(restored, clean))
    assert restored.grad is not None
    assert restored.grad.any()
    assert clean.grad is None
    assert all(parameter.grad is None for parameter in loss.distance.parameters())


def test_the_gradient_is_a_number_where_a_layer_sees_nothing(
    loss: Loss, random_squeezenet: str, tmp_path: Path, clean: Tensor
) -> None:
    """The package's own is NaN there, the slope of a root at 0, and would end a training."""
    import lpips

    grey = torch.full((1, 3, 3, 3), 0.5)
    first_layer = loss.distance.slices.slice1[0]
    seen = first_layer(loss.distance.scaling(2 * grey - 1)).flatten()
    tensors = load_tensors(random_squeezenet)
    tensors["features.0.bias"] = tensors["features.0.bias"] - seen - 0.01
    torch.save(tensors, tmp_path / "blind_to_grey.pth")
    blind = Loss(network="squeeze", weights=str(tmp_path / "blind_to_grey.pth"))
    restored = 1 - clean
    restored[..., :32] = 0.5
    restored.requires_grad_(True)
    first = blind.distance.slices.slice1(blind.distance.scaling(2 * restored - 1))
    assert not first[..., :15].any()
    assert first[..., 16:].any()
    (slope,) = torch.autograd.grad(blind(restored, clean), restored)
    assert torch.isfinite(slope).all()
    assert slope.any()
    unit = lpips.normalize_tensor(nothing := torch.zeros(1, 2, 1, 1, requires_grad=True))
    assert torch.autograd.grad(unit.sum(), nothing)[0].isnan().all()


def test_without_options_it_is_vgg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(
        DataError, match=r"vgg16-397923af\.pth are not in .*; run `frx fetch vgg16`"
    ):
        Loss()


RECIPE = """
name = "tiny"
data = {{ use = "synthetic_faces", size = 32, count = 12, split = [0.5, 0.25, 0.25] }}
degradations = [{{ use = "gaussian_noise" }}]
model = {{ use = "unet", width = 4 }}
metrics = [{{ use = "lpips", network = "squeeze", weights = {weights!r} }}]
[[stages]]
name = "only"
epochs = 2
batch_size = 2
  [[stages.losses]]
  use = "lpips"
  network = "squeeze"
  weights = {weights!r}
"""


def test_a_recipe_trains_by_it_and_is_scored_by_it(
    frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_squeezenet: str
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(RECIPE.format(weights=random_squeezenet))
    out = tmp_path / "run"
    code, _, said = frx("run", str(tmp_path / "tiny.toml"), "--out", str(out), "--device", "cpu")
    assert code == 0, said
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    learnt = [line["lpips"] for line in lines if line["kind"] == "train"]
    assert learnt[-1] < learnt[0]
    scored = json.loads((out / "scores.json").read_bytes())["sets"]["test"]["metrics"]["lpips"]
    assert scored["higher_is_better"] is False
    assert "trunk squeezenet1_1" in scored["protocol"]
    assert scored["whole"]["restored"] > 0


def test_both_are_listed(frx: Frx) -> None:
    for kind in ("loss", "metric"):
        code, listed, _ = frx("list", kind)
        assert code == 0
        assert "how unlike the restored and the clean picture look to people" in listed
