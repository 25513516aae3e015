"""The metric `lpips`, with random trunks: the package lpips, built by itself, gives the same."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import attrs
import pytest
import torch
from torch import Tensor, nn

from frx import weights
from frx.errors import DataError, RecipeError
from frx.lpips_distance import Network
from frx.recipe import load
from frx.tensor_file import load_tensors
from frx_metrics.lpips import LPIPS

NETWORKS: dict[Network, str] = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
# Of the heads v0.1 that the package brings, as others who use LPIPS state it.
HEADS = {"alex": "df73285e35b22355", "vgg": "a78928a0af1e5f0f", "squeeze": "4a5350f23600cb79"}


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Network], str]:
    """The file of a network that knows nothing: the part before the classifier, as torchvision's."""
    folder = tmp_path_factory.mktemp("trunks")

    def file(network: Network) -> str:
        import torchvision

        path = folder / f"{network}.pth"
        if not path.exists():
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                features = torchvision.models.get_model(NETWORKS[network], weights=None).features
            features.to_empty(device="cpu")
            generator = torch.Generator().manual_seed(0)
            for parameter in features.parameters():
                if parameter.ndim > 1:
                    nn.init.kaiming_normal_(parameter, generator=generator)
                else:
                    nn.init.normal_(parameter, std=0.1, generator=generator)
            tensors = {f"features.{key}": tensor for key, tensor in features.state_dict().items()}
            torch.save(tensors, path)
        return str(path)

    return file


@pytest.fixture
def clean() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def noise(clean: Tensor) -> Tensor:
    return torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))


def by_the_package(network: Network, file: str) -> nn.Module:
    """LPIPS as its users build it, with heads of its own; only the trunk is random."""
    import lpips

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        built: nn.Module = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
    tensors = torch.load(file, weights_only=True)
    trunk = built.net.state_dict()  # slice2.3.weight is features.3.weight
    built.net.load_state_dict({key: tensors[f"features.{key.partition('.')[2]}"] for key in trunk})
    return built


@pytest.mark.parametrize("network", NETWORKS)
def test_is_what_the_package_gives_for_pictures_from_minus_1_to_1(
    network: Network, trunk: Callable[[Network], str], clean: Tensor, noise: Tensor
) -> None:
    metric = LPIPS(network=network, weights=trunk(network))
    package = by_the_package(network, trunk(network))
    for height, width in ((64, 64), (37, 53)):
        one = clean[:2, :, :height, :width]
        other = (one + 0.2 * noise[:2, :, :height, :width]).clamp(0, 1)
        expected = package(2 * other - 1, 2 * one - 1).flatten()
        assert expected.min() > 0.01
        torch.testing.assert_close(metric(other, one), expected.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_heads_are_those_published_as_v0_1(network: Network) -> None:
    import lpips

    file = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{network}.pth"
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(HEADS[network])


def test_one_number_an_image_0_for_equal_ones_and_more_for_worse_ones(
    random_squeezenet: str, clean: Tensor, noise: Tensor
) -> None:
    metric = LPIPS(network="squeeze", weights=random_squeezenet)
    restored = clean.clone().requires_grad_(True)
    assert metric(restored, clean).tolist() == [0, 0, 0]
    assert not metric(restored, clean).requires_grad
    slightly, badly = metric(clean + 0.02 * noise, clean), metric(clean + 0.5 * noise, clean)
    assert slightly.shape == badly.shape == (3,)
    assert (slightly > 0).all()
    assert (slightly < badly).all()
    assert LPIPS.higher_is_better is False


def test_an_image_is_scored_alike_alone_in_training_mode_and_under_autocast(
    random_squeezenet: str, clean: Tensor
) -> None:
    metric = LPIPS(network="squeeze", weights=random_squeezenet)
    together = metric(1 - clean, clean)
    alone = torch.cat([metric(1 - clean[i : i + 1], clean[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-6)
    metric.distance.train()  # the heads have dropout
    assert torch.equal(metric(1 - clean, clean), together)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(metric(1 - clean, clean), together)


def test_making_it_prints_nothing_warns_of_nothing_and_draws_no_random_number(
    random_squeezenet: str, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    before = torch.get_rng_state()
    LPIPS(network="squeeze", weights=random_squeezenet)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn if "torchvision" in warning.filename] == []


def test_protocol_names_all_that_the_number_depends_on(
    random_squeezenet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(Path(random_squeezenet).read_bytes()).hexdigest()
    right = (
        f"LPIPS, squeeze with heads v0.1 of lpips {metadata.version('lpips')}, "
        f"trunk squeezenet1_1 (weights sha256 {digest[:12]}), RGB 0..1 taken to −1..1"
    )
    other = "; trunk not torchvision's published file: not comparable with LPIPS elsewhere"
    assert LPIPS(network="squeeze", weights=random_squeezenet).protocol == right + other
    published = attrs.evolve(weights.KNOWN["squeezenet1_1"], sha256=digest)
    monkeypatch.setitem(weights.KNOWN, "squeezenet1_1", published)
    assert LPIPS(network="squeeze", weights=random_squeezenet).protocol == right


@pytest.mark.parametrize(("network", "smallest"), [("alex", 31), ("vgg", 16), ("squeeze", 17)])
def test_pictures_too_small_for_the_network_are_named(
    network: Network, smallest: int, trunk: Callable[[Network], str]
) -> None:
    metric = LPIPS(network=network, weights=trunk(network))
    small = torch.full((1, 3, smallest, 40), 0.5)
    assert metric(small, small).tolist() == [0]
    small = small[:, :, 1:]
    sentence = (
        f"LPIPS with {network} needs pictures of at least {smallest} × {smallest} pixels; "
        f"one of 40 × {smallest - 1} is too small for it"
    )
    with pytest.raises(ValueError, match=sentence):
        metric(small, small)


@pytest.mark.parametrize("network", NETWORKS)
def test_missing_weights_stop_it_and_say_how_to_fetch_them(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=f"run `frx fetch {NETWORKS[network]}`") as raised:
        LPIPS(network=network)
    assert 'network = "…" (alex, vgg, squeeze)' in str(raised.value)


def test_without_options_it_is_alex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="frx fetch alexnet"):
        LPIPS()


def test_a_file_of_another_network_is_refused(
    tmp_path: Path, random_squeezenet: str, trunk: Callable[[Network], str]
) -> None:
    tensors = load_tensors(random_squeezenet)
    key = "features.12.expand3x3.bias"
    wrong = {
        "missing": ({k: t for k, t in tensors.items() if k != key}, f"{key} is missing"),
        "foreign": ({**tensors, "features.99.bias": torch.ones(1)}, "features.99.bias is none of"),
        "damaged": ({**tensors, key: tensors[key] * torch.nan}, f"{key} is not finite"),
    }
    for name, (content, sentence) in wrong.items():
        path = tmp_path / f"{name}.pth"
        torch.save(content, path)
        with pytest.raises(DataError, match=sentence) as raised:
            LPIPS(network="squeeze", weights=str(path))
        assert str(path) in str(raised.value)
    with pytest.raises(DataError, match="does not hold the weights of vgg16: "):
        LPIPS(network="vgg", weights=trunk("alex"))


def test_a_file_with_another_hash_than_the_published_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trunk: Callable[[Network], str]
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    fake = Path(trunk("alex")).read_bytes()
    (tmp_path / "weights" / "alexnet-owt-7be5be79.pth").write_bytes(fake)
    with pytest.raises(
        DataError, match=r"expected 7be5be79.*; delete it, then run `frx fetch alex"
    ):
        LPIPS()


def test_a_recipe_with_a_network_that_lpips_has_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(
        """
name = "tiny"
data = { use = "synthetic_faces", size = 32, count = 8 }
degradations = [{ use = "gaussian_noise" }]
model = { use = "unet", width = 4 }
metrics = [{ use = "lpips", network = "resnet" }]
stages = [{ name = "only", epochs = 1, losses = [{ use = "l1" }] }]
"""
    )
    with pytest.raises(RecipeError, match="'resnet' is not a choice"):
        load(tmp_path / "tiny.toml")
