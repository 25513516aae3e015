"""Other people's networks by their files alone: what they give, and files that do not hold one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from frx import images, model_folder
from frx.build import Use, converter_for, run_time_data
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError, RecipeError
from frx.foreign import ForeignRestoration, open_foreign
from frx.model_folder import Restorer
from frx.recipe import Compute
from frx.restoring.model import open_model
from frx.weights import SUFFIXES

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def picture(height: int = 29, width: int = 35, count: int = 1) -> Tensor:
    """As a batch comes from a photograph: channels_last."""
    shape = (count, height, width, 3)
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)).permute(0, 3, 1, 2)


def made(kind: str, **options: Any) -> nn.Module:
    """An untrained network of one of spandrel's architectures."""
    import spandrel.architectures

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(getattr(spandrel.architectures, kind), kind)(**options).eval()


def compact(scale: int = 2) -> nn.Module:
    return made("Compact", num_feat=8, num_conv=2, upscale=scale)


def dncnn(channels: int = 1) -> nn.Module:
    return made("DnCNN", in_nc=channels, out_nc=channels, nc=8, nb=8, act_mode="R")


def opened(network: nn.Module | dict[str, Tensor], precision: str = "fp32") -> Restorer:
    tensors = network.state_dict() if isinstance(network, nn.Module) else network
    torch.save({"params": tensors}, "network.pth")
    return open_foreign(Path("network.pth"), CPU, Compute(precision=precision))


# Networks ----------------------------------------------------------------------------------------


def test_a_network_that_enlarges_gives_what_its_own_code_gives() -> None:
    network = compact(scale=2)
    restorer = opened(network)
    assert (restorer.scale, restorer.size, restorer.fixed_size) == (2, None, False)
    with torch.no_grad():
        expected = network(picture()).clamp(0, 1)
    image = restorer({"degraded": picture()})["image"]
    assert image.shape == (1, 3, 58, 70)
    torch.testing.assert_close(image, expected)


def test_a_network_for_grey_pictures_sees_each_colour_by_itself() -> None:
    network = dncnn(channels=1)
    image = opened(network)({"degraded": picture(count=2)})["image"]
    assert image.shape == (2, 3, 29, 35)
    for one in range(2):
        for colour in range(3):
            with torch.no_grad():
                grey = picture(count=2)[one, colour][None, None]
                expected = network(grey).clamp(0, 1)
            torch.testing.assert_close(image[one, colour][None, None], expected)


def test_the_command_restores_with_a_file(frx: Callable[..., tuple[int, str, str]]) -> None:
    network = dncnn(channels=3)
    for parameter in network.parameters():
        parameter.data.zero_()
    network.model[-1].bias.data.fill_(-10 / 255)  # DnCNN takes away what it predicts
    torch.save(network.state_dict(), "brighter.pth")
    face = SyntheticFaces(size=64)[0]["clean"]
    images.write("face.png", face)
    code, _, stderr = frx(
        "restore", "face.png", "-o", "out", "--aligned", "--model", "brighter.pth"
    )
    assert code == 0, stderr
    brighter = np.minimum(face.astype(int) + 10, 255)
    assert np.abs(images.read_rgb("out/face.png").astype(int) - brighter).max() <= 1


def test_the_record_says_which_network_it_was() -> None:
    restorer = opened(compact())
    assert restorer.name == "RealESRGAN Compact"
    about = restorer.about
    assert (about["file"], about["purpose"], about["tags"]) == ("network.pth", "SR", ["8nf", "2nc"])
    whole = sha256(Path("network.pth").read_bytes()).hexdigest()
    assert len(about["sha256"]) == 16
    assert whole.startswith(about["sha256"])
    json.dumps(about)


def nothing(kind: str, **options: Any) -> dict[str, Tensor]:
    """The weights of a network too large for a test, all 0 and in a file of a few megabytes."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in made(kind, **options).state_dict().items()}
    zeros = torch.zeros(max(shape.numel() for shape in shapes.values()), dtype=torch.uint8)
    return {name: zeros[: shape.numel()].view(shape) for name, shape in shapes.items()}


def test_a_network_for_inpainting_asks_for_a_mask_and_fills_only_that() -> None:
    restorer = opened(nothing("LaMa", in_nc=4, out_nc=3))
    assert run_time_data(type(restorer.module).forward)["mask"]
    mask = torch.zeros(2, 1, 29, 35)
    mask[..., 5:20, 10:30] = 1
    degraded = picture(count=2)
    image = restorer({"degraded": degraded, "mask": mask})["image"]
    outside = (mask == 0).expand_as(image)
    assert torch.equal(image[outside], degraded[outside])
    assert (image[~outside] == 0.5).all()  # the sigmoid of 0


def test_gfpgan_takes_faces_of_512_alone_and_gives_them_at_that_size() -> None:
    options = {"out_size": 512, "channel_multiplier": 2, "input_is_latent": True}
    options |= {"different_w": True, "sft_half": True, "fix_decoder": False}
    restorer = opened(nothing("GFPGAN", **options))
    assert (restorer.size, restorer.fixed_size, restorer.name) == (512, True, "GFPGAN")
    shapes_alone = {name: t.to("meta") for name, t in restorer.module.state_dict().items()}
    with torch.device("meta"):
        face = torch.empty(1, 3, 512, 512)
        made = torch.func.functional_call(restorer.module, shapes_alone, (face,))["image"]
    assert made.shape[-1] / face.shape[-1] == restorer.scale == 1


class Noisy(nn.Module):
    """Draws noise as GFPGAN does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + x.new_empty(x.shape).normal_() / 10


def test_a_network_that_draws_noise_restores_a_picture_always_alike() -> None:
    from spandrel import ImageModelDescriptor
    from spandrel.architectures.Compact import CompactArch

    noisy = Noisy()
    numbers = {"scale": 1, "input_channels": 3, "output_channels": 3}
    can = {"supports_half": False, "supports_bfloat16": False}
    described = {"architecture": CompactArch(), "purpose": "Restoration", "tags": []}
    module = ForeignRestoration(
        ImageModelDescriptor(noisy, noisy.state_dict(), **described, **can, **numbers)
    )
    state = torch.random.get_rng_state()
    image = module(picture(count=2))["image"]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (image / picture(count=2)).std() > 0.1
    assert torch.equal(module(picture(count=2)[1:])["image"], image[1:])


def restore_former() -> nn.Module:
    options = {"ch": 32, "ch_mult": (1, 1), "num_res_blocks": 1, "n_embed": 16, "embed_dim": 32}
    return made("RestoreFormer", **options, z_channels=32, attn_resolutions=(16,))


def test_restoreformer_learned_on_faces_of_512_and_takes_others() -> None:
    restorer = opened(restore_former())
    assert (restorer.size, restorer.fixed_size) == (512, False)
    for height, width in ((64, 64), (29, 45)):  # it takes multiples of 32: the rest is padded
        image = restorer({"degraded": picture(height, width)})["image"]
        assert image.shape[-2] / height == image.shape[-1] / width == restorer.scale == 1


def test_a_network_that_writes_into_its_input_leaves_the_callers_picture_alone() -> None:
    restorer = opened(made("RCAN", n_resgroups=1, n_resblocks=1, n_feats=8, reduction=4))
    degraded = picture().contiguous()
    before = degraded.clone()
    restorer({"degraded": degraded})
    assert torch.equal(degraded, before)


def test_a_network_that_takes_one_picture_at_a_time_restores_a_batch() -> None:
    restorer = opened(made("SeemoRe"))
    both = restorer({"degraded": picture(count=2)})["image"]
    one = restorer({"degraded": picture(count=2)[1:]})["image"]
    torch.testing.assert_close(both[1:], one)


def test_a_network_that_needs_the_usual_memory_format_gets_it() -> None:
    options = {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1}
    restorer = opened(made("FFTformer", **options))  # has weights of five dimensions
    assert restorer({"degraded": picture()})["image"].shape == (1, 3, 29, 35)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_results_are_float32_in_0_to_1_and_can_be_worked_on(precision: str) -> None:
    restorer = opened(compact(), precision)
    assert restorer.precision.name == precision
    image = restorer({"degraded": picture() * 8 - 4})["image"]
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    image += 1  # not so for tensors of torch's inference mode


def test_bf16_is_left_alone_where_spandrel_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    from spandrel import ImageModelDescriptor

    plain = ImageModelDescriptor.__init__

    def cannot(self: Any, *args: Any, **options: Any) -> None:
        plain(self, *args, **{**options, "supports_bfloat16": False})

    monkeypatch.setattr(ImageModelDescriptor, "__init__", cannot)
    assert opened(compact(), "bf16").precision.name == "fp32"


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        lambda w: {"params_ema": w},
        lambda w: {"state_dict": {f"module.{name}": t for name, t in w.items()}},
        lambda w: {f"netG.{name}": t for name, t in w.items()},
        lambda w: {name: t.half() for name, t in w.items()},
    ],
)
def test_a_network_is_known_however_it_was_saved(written: Callable[[Any], Any]) -> None:
    torch.save(written(dict(compact().state_dict())), "network.pth")
    assert open_foreign(Path("network.pth"), CPU).scale == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_of_weights_is_opened(suffix: str) -> None:
    path = Path("network").with_suffix(suffix)
    tensors = compact().state_dict()
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    assert open_model(path, CPU).scale == 2


# What cannot be opened ---------------------------------------------------------------------------


def refused(path: str | Path) -> str:
    """The one sentence about a file of weights that cannot be used."""
    with pytest.raises(DataError) as raised:
        open_foreign(Path(path), CPU)
    text = str(raised.value)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 400
    assert "weights_only" not in text  # torch would advise to load it unsafely
    return text


def test_without_spandrel_there_is_a_way_out(
    monkeypatch: pytest.MonkeyPatch, frx: Callable[..., tuple[int, str, str]]
) -> None:
    torch.save(compact().state_dict(), "network.pth")
    images.write("face.png", SyntheticFaces(size=32)[0]["clean"])
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(RecipeError, match=r"pip install 'frx\[foreign\]'"):
        open_foreign(Path("network.pth"), CPU)
    code, _, stderr = frx("restore", "face.png", "-o", "out", "--model", "network.pth")
    assert code == 2
    assert "Traceback" not in stderr


def test_weights_of_a_network_that_spandrel_does_not_know() -> None:
    torch.save({"layer.weight": torch.zeros(3, 3)}, "network.pth")
    text = refused("network.pth")
    assert "no network that spandrel knows" in text
    assert "run folder" in text


@pytest.mark.parametrize("kind", ["unet", "pix2pix_unet", "inpaint_unet", "dual_decoder_unet"])
def test_weights_of_frx_itself_are_opened_by_their_folder(kind: str, tmp_path: Path) -> None:
    converter = converter_for(["model"])
    use: Use = converter.structure({"use": kind, "width": 4}, Annotated[Use, "model"])  # type: ignore[arg-type]
    model_folder.export(tmp_path / "model", use, use.build().state_dict(), {})
    assert "run folder" in refused("model/model.safetensors")


def test_a_network_that_is_not_whole() -> None:
    tensors = compact().state_dict()
    del tensors["body.2.bias"]
    torch.save(tensors, "network.pth")
    text = refused("network.pth")
    assert "does not hold a whole network" in text
    assert "body.2.bias" in text


def test_a_network_of_a_wrong_shape() -> None:
    tensors = compact().state_dict()
    tensors["body.2.weight"] = torch.zeros(8, 8, 5, 5)
    torch.save(tensors, "network.pth")
    assert "body.2.weight" in refused("network.pth")


def test_a_network_with_numbers_that_are_none() -> None:
    network = compact()
    network.body[2].weight.data[0, 0] = float("nan")
    torch.save(network.state_dict(), "network.pth")
    assert "body.2.weight is not finite" in refused("network.pth")


def test_a_network_of_two_channels_restores_no_photograph() -> None:
    torch.save(dncnn(channels=2).state_dict(), "network.pth")
    assert "2 channels" in refused("network.pth")


# Trained weights, where somebody has them ---------------------------------------------------------

REAL = os.environ.get("FRX_TEST_WEIGHTS", "")


def db(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


@pytest.mark.skipif(not REAL, reason="FRX_TEST_WEIGHTS names no folder")
def test_a_published_denoiser_takes_noise_away() -> None:
    restorer = open_foreign(Path(REAL, "dncnn_25.pth"), CPU, "fp32")
    clean = torch.from_numpy(SyntheticFaces(size=128)[0]["clean"]).permute(2, 0, 1)[None] / 255
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = (clean + noise * 25 / 255).clamp(0, 1)
    assert db(restorer({"degraded": noisy})["image"], clean) > db(noisy, clean) + 9


@pytest.mark.skipif(not REAL, reason="FRX_TEST_WEIGHTS names no folder")
def test_a_published_network_enlarges_four_times() -> None:
    restorer = open_foreign(Path(REAL, "realesr-animevideov3.pth"), CPU, "fp32")
    clean = torch.from_numpy(SyntheticFaces(size=128)[0]["clean"]).permute(2, 0, 1)[None] / 255
    small = torch.nn.functional.interpolate(clean, scale_factor=0.25, mode="area")
    enlarged = restorer({"degraded": small})["image"]
    assert restorer.scale == 4
    assert enlarged.shape == clean.shape
    assert db(enlarged, clean) > 20
