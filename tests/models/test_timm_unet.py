"""A U-Net on encoders of timm: any size in, all weights learn, other people's weights get in."""

from __future__ import annotations

import copy
import json
import logging
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from frx import experiment
from frx.build import converter_for
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError
from frx.model_folder import Restorer
from frx.recipe import load
from frx.specs import Model
from frx.testing import check_model
from frx_models.timm_unet import TimmUNet

SWIN = "swin_tiny_patch4_window7_224"
# Small ones of several families; timm hands out the features of each in its own way.
SMALL = ["resnet10t", "mobilenetv3_small_050", "test_convnext", "test_efficientnet", "regnetx_002"]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty; and whoever reaches for the network fails."""

    def refused(*_: Any) -> None:
        raise AssertionError("a network was made with the network's help")

    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket.socket, "connect", refused)
    return tmp_path / "cache" / "weights"


# The network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "published"),
    [
        ("resnet18", 11_689_512 - 513_000),  # without the classifier, 512 × 1000 + 1000
        ("resnet50", 25_557_032 - 2_049_000),
        ("convnext_tiny", 28_589_128 - 769_000 - 1_536),  # nor the norm before it, 2 × 768
    ],
)
def test_the_encoder_has_the_published_number_of_parameters(encoder: str, published: int) -> None:
    with torch.device("meta"):
        assert parameters(TimmUNet(encoder=encoder).encoder) == published


@pytest.mark.parametrize("encoder", SMALL)
def test_keeps_the_promises_of_models(encoder: str) -> None:
    check_model(TimmUNet(encoder=encoder, width=4), TimmUNet(encoder=encoder, width=4))


def test_a_hierarchical_transformer_for_one_size_takes_all() -> None:
    net = TimmUNet(encoder=SWIN, width=4, predict="image").eval()
    with torch.no_grad():
        for size in ((64, 64), (37, 90)):
            assert net(torch.rand(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("predict", ["image", "correction"])
@pytest.mark.parametrize("size", [(1, 1), (63, 65), (96, 33)])
def test_takes_any_size(size: tuple[int, int], predict: Any) -> None:
    degraded = torch.rand(2, 3, *size)
    assert TimmUNet(encoder="resnet10t", width=4, predict=predict)(degraded).shape == degraded.shape


@pytest.mark.parametrize(
    ("encoder", "multiple_px"), [("resnet10t", 1), ("tf_efficientnet_b0", 1), ("test_convnext", 32)]
)
def test_only_what_cuts_odd_sides_off_is_padded(encoder: str, multiple_px: int) -> None:
    net = TimmUNet(encoder=encoder, width=4).eval()
    seen: list[torch.Size] = []
    net.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2:]))
    picture = torch.rand(1, 3, 75, 97)
    with torch.no_grad():
        restored = net(picture)
        if multiple_px > 1:  # what a picture is padded with is its last row and column
            whole = nn.functional.pad(picture, (0, 31, 0, 21), mode="replicate")
            torch.testing.assert_close(net(whole)[..., :75, :97], restored)
    assert seen[0] == ((75, 97) if multiple_px == 1 else (96, 128))


def test_far_from_its_edges_a_picture_is_restored_alike_whether_its_sides_are_even_or_odd() -> None:
    net = TimmUNet(encoder="resnet10t", width=4, levels=3, predict="image").eval()
    even = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        whole, cut = net(even), net(even[..., :153, :155])
    torch.testing.assert_close(cut[..., :64, :64], whole[..., :64, :64])
    assert not torch.allclose(cut, whole[..., :153, :155])  # as at any edge


@pytest.mark.parametrize(
    ("encoder", "frozen"), [("resnet10t", []), ("efficientvim_m1", ["model.weights"])]
)
def test_only_what_no_feature_depends_on_is_frozen(encoder: str, frozen: list[str]) -> None:
    """The weights of efficientvim mix its outputs, and only its classifier looks at the mix."""
    import timm

    if not timm.is_model(encoder):
        pytest.skip(f"this timm has no {encoder}")
    net = TimmUNet(encoder=encoder, width=4).encoder
    assert [name for name, p in net.named_parameters() if not p.requires_grad] == frozen


def test_fewer_levels_make_a_smaller_network_that_pads_less() -> None:
    nets = [TimmUNet(encoder="resnet10t", width=4, levels=levels) for levels in (2, 3, None)]
    assert [net.sight.strides for net in nets] == [[2, 4], [2, 4, 8], [2, 4, 8, 16, 32]]
    assert parameters(nets[0]) < parameters(nets[1]) < parameters(nets[2])
    check_model(nets[0])


@pytest.mark.parametrize(("encoder", "own"), [("resnet10t", 1), ("test_convnext", 2)])
def test_what_is_finer_than_the_encoder_is_seen_by_layers_of_its_own(
    encoder: str, own: int
) -> None:
    assert len(TimmUNet(encoder=encoder, width=4).fine) == own


def test_the_encoder_sees_its_own_mean_and_deviation() -> None:
    net = TimmUNet(encoder="tf_mobilenetv3_small_minimal_100", width=4).eval()
    seen: list[torch.Tensor] = []
    net.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    colours = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1)
    net(colours.expand(1, 3, 64, 64))
    assert seen[0][0, :, 0, 0].tolist() == [-1, 0, 1]  # timm: mean 0.5 and deviation 0.5
    other = TimmUNet(encoder="resnet10t", width=4)
    other.load_state_dict(
        other.state_dict() | {"mean": torch.full((1, 3, 1, 1), 0.25)}
    )  # as a model trained under another timm may have it
    assert other.mean.flatten().tolist() == [0.25] * 3


def test_correction_starts_near_the_identity_and_an_image_stays_in_range() -> None:
    degraded = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        corrected = TimmUNet(encoder="resnet10t")(degraded)
        image = TimmUNet(encoder="resnet10t", predict="image")(degraded)
    assert 0 < (corrected - degraded).square().mean().sqrt() < 0.03
    assert image.min() >= 0
    assert image.max() <= 1


def test_a_copy_is_independent() -> None:
    net = TimmUNet(encoder="test_efficientnet", width=4).eval()
    degraded = torch.rand(1, 3, 64, 64)
    before = net(degraded)
    other = copy.deepcopy(net)
    nn.init.normal_(other.head.weight)
    assert torch.equal(net(degraded), before)
    assert not torch.equal(other(degraded), before)


def test_learns_to_undo_a_damage() -> None:
    net = TimmUNet(encoder="resnet10t", width=8)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    clean = nn.functional.interpolate(torch.rand(4, 3, 8, 8), size=64, mode="bilinear")
    degraded = clean * 0.5
    for _ in range(25):
        loss = (net(degraded) - clean).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * (degraded - clean).abs().mean().item()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"encoder": "resnet81"}, r"timm has no network 'resnet81'; did you mean resnet18, "),
        ({"encoder": "resnet18.a9"}, "no training 'a9' of resnet18; it has a"),
        ({"encoder": "hf-hub:timm/resnet18"}, "timm has no network 'hf-hub:timm/resnet18'"),
        ({"encoder": "vit_tiny_patch16_224"}, "strides 16, 16, 16, and a U-Net needs ever coarser"),
        ({"encoder": "gcvit_xxtiny"}, "gcvit_xxtiny takes pictures of 224 × 224 alone"),
        ({"encoder": "resnet10t", "levels": 6}, "levels is 6, and resnet10t has 5"),
    ],
)
def test_an_encoder_that_will_not_do_is_refused_while_the_recipe_is_read(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as direct:
        TimmUNet(**options)
    assert "\n" not in str(direct.value)
    with pytest.raises(Exception, match=sentence):
        converter_for(["model"]).structure({"use": "timm_unet", **options}, Model)


# Other people's weights ----------------------------------------------------------------------


def a_trained(name: str) -> nn.Module:
    """A whole network of timm, classifier and all, whose norms are not as they were made."""
    import timm

    network: nn.Module = timm.create_model(name)
    for key, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not key.endswith("var"):
            tensor.add_(0.05 * torch.randn(tensor.shape))
    return network.eval()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("resnet10t", "pth"),
        ("resnet10t", "safetensors"),
        ("mobilenetv3_small_050", "safetensors"),
        ("test_convnext", "safetensors"),
        (SWIN, "safetensors"),
    ],
)
def test_the_encoder_gives_what_the_trained_network_gives(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, path = a_trained(name), tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": trained.state_dict()}, path)
    else:
        save_file(trained.state_dict(), path)
    net = TimmUNet(encoder=name, width=4, weights=str(path)).eval()
    picture = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        wanted = trained.forward_intermediates(picture, intermediates_only=True)
        before = net.encoder(picture)
        net.load_pretrained()
        features = net.encoder(picture)
    assert not torch.allclose(before[-1], features[-1])
    for one, other in zip(features[-4:], wanted[-4:], strict=True):
        one = one.permute(0, 3, 1, 2) if net.sight.channels_last else one
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert capsys.readouterr() == ("", "")


def test_older_names_of_weights_are_translated_by_timm(tmp_path: Path) -> None:
    trained = a_trained("test_convnext")
    renamed = {f"visual.trunk.{key}": value for key, value in trained.state_dict().items()}
    renamed |= {"visual.head.proj.weight": torch.ones(1000, 64)}  # as in a file of OpenCLIP
    save_file(renamed, tmp_path / "clip.safetensors")
    net = TimmUNet(encoder="test_convnext", weights=str(tmp_path / "clip.safetensors"))
    net.load_pretrained()
    assert torch.equal(net.encoder.stem_0.weight, trained.stem[0].weight)


def test_pretrained_means_the_file_that_frx_fetch_brings(cache: Path) -> None:
    net = TimmUNet(encoder="resnet10t", pretrained=True, width=4)
    with pytest.raises(DataError) as raised:
        net.load_pretrained()
    for part in ("`frx fetch timm/resnet10t`", 'weights = "', str(cache)):
        assert part in str(raised.value)
    trained = a_trained("resnet10t")
    cache.mkdir(parents=True)
    save_file(trained.state_dict(), cache / "timm-resnet10t.c3_in1k.safetensors")
    net.load_pretrained()
    assert torch.equal(net.encoder.layer1[0].conv1.weight, trained.layer1[0].conv1.weight)
    named = TimmUNet(encoder="resnet10t", weights="timm/resnet10t.c3_in1k", width=4)
    named.load_pretrained()
    assert torch.equal(named.encoder.bn1.running_mean, trained.bn1.running_mean)


def test_without_being_asked_for_nothing_is_loaded() -> None:
    net = TimmUNet(encoder="resnet10t", width=4)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    net.load_pretrained()
    assert all(torch.equal(before[key], tensor) for key, tensor in net.state_dict().items())


def test_loading_draws_nothing_from_the_seed_and_leaves_timms_log_alone(tmp_path: Path) -> None:
    save_file(a_trained("resnet10t").state_dict(), tmp_path / "w.safetensors")
    net = TimmUNet(encoder="resnet10t", weights=str(tmp_path / "w.safetensors"), width=4)
    level, state = logging.getLogger("timm").level, torch.get_rng_state()
    net.load_pretrained()
    assert torch.equal(torch.get_rng_state(), state)
    assert logging.getLogger("timm").level == level


def without(key: str) -> dict[str, torch.Tensor]:
    return {name: t for name, t in a_trained("resnet10t").state_dict().items() if name != key}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: a_trained("resnet18").state_dict(), "not hold the weights of resnet10t: "),
        (lambda: a_trained("test_convnext").state_dict(), "resnet10t: conv1.0.weight is missing"),
        (lambda: without("layer3.0.bn2.bias"), "resnet10t: layer3.0.bn2.bias is missing"),
        (
            lambda: without("") | {"bn1.bias": torch.full((64,), torch.nan)},
            "is damaged: bn1.bias is not finite",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(content: Any, sentence: str, tmp_path: Path) -> None:
    save_file(content(), tmp_path / "w.safetensors")
    net = TimmUNet(encoder="resnet10t", weights=str(tmp_path / "w.safetensors"), width=4)
    before = net.encoder.conv1[0].weight.clone()
    with pytest.raises(DataError, match=sentence) as raised:
        net.load_pretrained()
    assert "\n" not in str(raised.value)
    if "missing" in sentence:
        assert torch.equal(net.encoder.conv1[0].weight, before)


RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 32
count = 8
split = [0.5, 0.25, 0.25]
[[degradations]]
use = "gaussian_noise"
[model]
use = "timm_unet"
encoder = "test_efficientnet"
pretrained = true
width = 4
[[stages]]
name = "only"
epochs = 1
batch_size = 4
optimizer = { use = "adam", lr = 1e-5 }
losses = [{ use = "l1" }]
[[metrics]]
use = "psnr"
"""


def test_a_trained_run_begins_with_the_file_and_restores_without_it(
    tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe = load(tmp_path / "tiny.toml")
    with pytest.raises(DataError, match="frx fetch timm/test_efficientnet"):
        experiment.run(recipe, tmp_path / "run", torch.device("cpu"))
    trained = a_trained("test_efficientnet")
    cache.mkdir(parents=True)
    save_file(trained.state_dict(), cache / "timm-test_efficientnet.r160_in1k.safetensors")
    experiment.run(recipe, tmp_path / "run", torch.device("cpu"))
    shutil.rmtree(cache)
    restorer = Restorer.open(tmp_path / "run", torch.device("cpu"))
    learnt = restorer.module.encoder.conv_stem.weight
    torch.testing.assert_close(learnt, trained.conv_stem.weight, rtol=0, atol=1e-3)
    about = json.loads((tmp_path / "run" / "model" / "model.json").read_bytes())
    assert about["model"]["encoder"] == "test_efficientnet"
    face = SyntheticFaces(size=45)[0]["clean"]
    degraded = torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255
    assert restorer({"degraded": degraded})["image"].shape == degraded.shape
