"""The metrics `fid` and `kid`, with a random Inception: against their formulas, by hand."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from frx import weights
from frx.errors import DataError, RecipeError
from frx.recipe import load
from frx.tensor_file import load_tensors
from frx_metrics.fid import FID
from frx_metrics.kid import KID

COUNT = 20
Rows = NDArray[np.float64]


@pytest.fixture(scope="module")
def levels() -> tuple[Tensor, Tensor]:
    """Clean pictures and darker ones, uint8 [20, 3, 40, 56]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(COUNT, 3, 5, 7, generator=generator)
    clean = torch.nn.functional.interpolate(coarse, size=(40, 56), mode="bilinear")
    noise = 0.1 * torch.randn(clean.shape, generator=generator)
    worse = (0.9 * clean + noise).clamp(0, 1)
    return clean.mul(255).round().byte(), worse.mul(255).round().byte()


@pytest.fixture(scope="module")
def features(random_inception: str, levels: tuple[Tensor, Tensor]) -> tuple[Rows, Rows]:
    """What torch-fidelity, asked by itself, extracts from both sets."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["64"], random_inception)
    clean, worse = (network(pictures)[0].double().numpy() for pictures in levels)
    return clean, worse


@pytest.fixture(scope="module")
def fid(random_inception: str) -> FID:
    return FID(features=64, weights=random_inception)


@pytest.fixture(scope="module")
def kid(random_inception: str) -> KID:
    return KID(features=64, subsets=3, subset_size=COUNT, weights=random_inception)


def distance(metric: Any, restored: Tensor, clean: Tensor, batch: int = 8) -> float:
    """Of two sets in 8 bits, in batches as pictures reach a metric."""
    tally = metric.tally()
    for one, other in zip((restored / 255).split(batch), (clean / 255).split(batch), strict=True):
        tally.add(one, other)
    value: float = tally.value()
    return value


def frechet(one: Rows, other: Rows) -> float:
    """|μ − μ'|² + tr(Σ + Σ' − 2 (Σ Σ')^½), as arXiv 1706.08500 has it."""
    from scipy import linalg

    covariances = [np.cov(rows, rowvar=False) for rows in (one, other)]
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    means = one.mean(axis=0) - other.mean(axis=0)
    return float(means @ means + np.trace(sum(covariances)) - 2 * np.trace(root).real)


def squared_discrepancy(one: Rows, other: Rows) -> float:
    """The unbiased estimate of the squared MMD, pair by pair, as arXiv 1801.01401 has it."""

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    count = len(one)
    pairs = [(i, j) for i in range(count) for j in range(count)]
    within = sum(kernel(a[i], a[j]) for a in (one, other) for i, j in pairs if i != j)
    between = sum(kernel(one[i], other[j]) for i, j in pairs)
    return within / (count * (count - 1)) - 2 * between / count**2


def test_fid_is_the_frechet_distance_of_torch_fidelitys_features(
    fid: FID, levels: tuple[Tensor, Tensor], features: tuple[Rows, Rows]
) -> None:
    clean, worse = levels
    expected = frechet(*features)
    assert expected > 0.1
    assert distance(fid, worse, clean) == pytest.approx(expected, rel=1e-4)
    assert distance(fid, clean, clean) == pytest.approx(0, abs=1e-6)
    assert FID.higher_is_better is False


def test_kid_over_the_whole_set_is_the_squared_discrepancy_of_its_kernel(
    kid: KID, levels: tuple[Tensor, Tensor], features: tuple[Rows, Rows]
) -> None:
    clean, worse = levels
    expected = squared_discrepancy(*features)
    assert expected > 1e-3
    assert distance(kid, worse, clean) == pytest.approx(expected, rel=1e-6)
    assert KID.higher_is_better is False


def test_the_inception_sees_what_a_file_of_8_bits_would_hold(
    fid: FID, levels: tuple[Tensor, Tensor], features: tuple[Rows, Rows]
) -> None:
    """Cut off instead of rounded, a network's pictures would be half a level too dark."""
    clean = levels[0][:4] / 255
    for moved in (0, -0.4, 0.4):
        seen = fid.inception(clean + moved / 255).numpy()
        np.testing.assert_allclose(seen, features[0][:4], rtol=1e-5)
    darker = fid.inception(clean - 0.6 / 255).numpy()
    assert not np.allclose(darker, features[0][:4], rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_allclose(fid.inception(clean).numpy(), features[0][:4], rtol=1e-5)


def test_kid_draws_the_same_subsets_each_time_and_from_its_own_generator(
    random_inception: str, levels: tuple[Tensor, Tensor]
) -> None:
    clean, worse = (pictures[:8] for pictures in levels)
    metric = KID(features=64, subsets=5, subset_size=4, weights=random_inception)
    torch.rand(3)
    before = torch.get_rng_state()
    values = [distance(metric, worse, clean) for _ in range(2)]
    assert values[0] == values[1]
    assert torch.equal(torch.get_rng_state(), before)
    fewer = KID(features=64, subsets=1, subset_size=4, weights=random_inception)
    assert distance(fewer, worse, clean) != values[0]


def test_what_a_set_is_too_small_for_is_said(
    fid: FID, kid: KID, levels: tuple[Tensor, Tensor]
) -> None:
    clean, worse = levels
    with pytest.raises(RecipeError, match="fid: needs at least two images, and the set has 1"):
        distance(fid, worse[:1], clean[:1])
    with pytest.raises(RecipeError, match="subset_size = 20 is more than the 3 images of the set"):
        distance(kid, worse[:3], clean[:3])


def test_protocol_names_layer_weights_and_size(
    fid: FID, kid: KID, random_inception: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(Path(random_inception).read_bytes()).hexdigest()
    for metric, begins in ((fid, "FID of torchmetrics, too high below some"), (kid, "KID of")):
        assert metric.protocol.startswith(begins)
        for part in (
            "64 features (an early layer",
            f"weights sha256 {digest[:12]}",
            "RGB rounded to 8 bits, bilinear to 299 px as in TensorFlow 1, without antialiasing",
            "not the published weights",
        ):
            assert part in metric.protocol
    assert "mean over 3 draws of 20 images with seed 0" in kid.protocol
    published = attrs.evolve(weights.KNOWN["inception_v3_fid"], sha256=digest)
    monkeypatch.setitem(weights.KNOWN, "inception_v3_fid", published)
    usual = FID(weights=random_inception)
    assert "2048 features (pool3) of" in usual.protocol
    assert "not the published" not in usual.protocol
    assert usual.inception(torch.rand(1, 3, 20, 20)).shape == (1, 2048)


@pytest.mark.parametrize("metric", [FID, KID])
def test_missing_weights_stop_it(
    metric: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="run `frx fetch inception_v3_fid`"):
        metric()


@pytest.mark.parametrize("metric", [FID, KID])
@pytest.mark.parametrize("package", ["torchmetrics", "torch_fidelity"])
def test_a_missing_package_is_named_with_the_command_that_brings_it(
    metric: Any, package: str, random_inception: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RecipeError, match=r"pip install 'frx\[distributions\]'") as raised:
        metric(weights=random_inception)
    assert package in str(raised.value)


def test_weights_of_another_network_are_refused(
    tmp_path: Path, random_squeezenet: str, random_inception: str
) -> None:
    with pytest.raises(DataError, match="does not hold the weights of inception_v3_fid: Missing"):
        FID(weights=random_squeezenet)
    tensors = load_tensors(random_inception)
    tensors["fc.bias"] = tensors["fc.bias"] / 0
    torch.save(tensors, tmp_path / "damaged.pth")
    with pytest.raises(DataError, match=r"damaged\.pth is damaged: fc\.bias is not finite"):
        KID(weights=str(tmp_path / "damaged.pth"))


class Opens:
    """What a hostile file of weights would do where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def test_a_hostile_file_of_weights_runs_nothing(tmp_path: Path) -> None:
    """torch-fidelity by itself would unpickle anything."""
    torch.save({"fc.bias": Opens(tmp_path / "was_here")}, tmp_path / "hostile.pth")
    with pytest.raises(DataError, match="weights may hold tensors only"):
        FID(weights=str(tmp_path / "hostile.pth"))
    assert not (tmp_path / "was_here").exists()


def test_a_recipe_sets_their_options(tmp_path: Path, random_inception: str) -> None:
    text = f"""
name = "tiny"
data = {{ use = "synthetic_faces", size = 32, count = 8 }}
degradations = [{{ use = "gaussian_noise" }}]
model = {{ use = "unet", width = 4 }}
metrics = [{{ use = "kid", features = 192, subset_size = 2, weights = {random_inception!r} }}]
stages = [{{ name = "only", epochs = 1, losses = [{{ use = "l1" }}] }}]
"""
    (tmp_path / "tiny.toml").write_text(text)
    built = load(tmp_path / "tiny.toml").metrics[0].build()
    assert (built.inception.features, built.subsets, built.subset_size) == (192, 100, 2)
    for wrong, sentence in (("192", "100 is not a choice"), ("size = 2,", "must be at least 2")):
        changed = {"192": "100", "size = 2,": "size = 1,"}[wrong]
        (tmp_path / "tiny.toml").write_text(text.replace(wrong, changed))
        with pytest.raises(RecipeError, match=sentence):
            load(tmp_path / "tiny.toml")
