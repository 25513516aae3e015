"""The metric `niqe`, beside BasicSR's, on pictures and a model that anyone can make again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from frx import weights
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError
from frx_metrics.niqe import NIQE, features

Frx = Callable[..., tuple[int, str, str]]
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def formula(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of nothing in particular."""
    number = np.arange(36)
    path = tmp_path_factory.mktemp("niqe") / "formula.npz"
    covariance = np.diag((1 + number % 5) / 50) + 0.01
    np.savez(path, mu_pris_param=(1 + number % 4)[None] / 4, cov_pris_param=covariance)
    return str(path)


def texture(height: int, width: int, seed: int = 0) -> Picture:
    """Squares of six sizes, random and the same on every machine."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 16)
    for step_px, levels in ((32, 64), (16, 48), (8, 40), (4, 32), (2, 24), (1, 16)):
        coarse = rng.integers(0, levels, (height // step_px + 1, width // step_px + 1, 3))
        total += coarse.repeat(step_px, axis=0).repeat(step_px, axis=1)[:height, :width]
    return total.astype(np.uint8)


def noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(1).integers(-40, 41, picture.shape)
    return (picture.astype(int) + noise).clip(0, 255).astype(np.uint8)


def blurred(picture: Picture) -> Picture:
    padded = np.pad(picture.astype(int), ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = picture.shape[:2]
    shifted = (padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return (sum(shifted, np.zeros(picture.shape, int)) // 9).astype(np.uint8)


def with_hole(picture: Picture, level: int) -> Picture:
    holed = picture.copy()
    holed[30:150, 60:200] = level
    return holed


def tensor(*pictures: Picture) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


PLAIN = texture(192, 288)


# By BasicSR 1.4.2 with the model `formula` in place of its own: as it is, in float32, and with
# picture, filters and resizing in float64.
@pytest.mark.parametrize(
    ("picture", "as_it_is", "in_double"),
    [
        (PLAIN, 26.680395, 26.682186851),
        (blurred(PLAIN), 30.013400, 30.013412763),
        (noisy(PLAIN), 31.216580, 31.216575593),
        (PLAIN // 2 + 20, 28.906125, 28.906121180),
        (texture(301, 215, 2), 43.999139, 43.999141785),
        (texture(96, 192, 3), 51.344697, 51.341890957),
    ],
    ids=["texture", "blurred", "noisy", "less contrast", "blocks left over", "two blocks"],
)
def test_is_basicsrs(picture: Picture, as_it_is: float, in_double: float, formula: str) -> None:
    score = NIQE(weights=formula)(tensor(picture)).item()
    assert score == pytest.approx(in_double, rel=1e-6)
    assert score == pytest.approx(as_it_is, rel=1e-3)


@pytest.mark.parametrize(("level", "expected"), [(77, 15.755735), (255, 15.774376)])
def test_is_basicsrs_where_a_part_is_of_one_colour(
    level: int, expected: float, formula: str
) -> None:
    """In float32, where it has no difference there; in float64 it has rounding errors, and 16.37."""
    score = NIQE(weights=formula)(tensor(with_hole(PLAIN, level))).item()
    assert score == pytest.approx(expected, rel=1e-3)


def test_noise_blur_and_jpegs_blocks_are_unnatural(niqe_model: str) -> None:
    metric = NIQE(weights=niqe_model)
    drawn = SyntheticFaces(size=192)
    clean = tensor(*(drawn[index]["clean"] for index in range(4)))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    coarse = torch.nn.functional.avg_pool2d(clean, 8)
    score = metric(clean)
    assert metric.higher_is_better is False
    for worse in (
        clean + 0.2 * noise,
        torch.nn.functional.avg_pool2d(clean, 9, stride=1, padding=4),
        torch.nn.functional.interpolate(coarse, scale_factor=8),
    ):
        assert (metric(worse) > score).all()


def test_an_image_is_scored_alike_in_any_batch(formula: str) -> None:
    metric = NIQE(weights=formula)
    pictures = tensor(PLAIN, noisy(PLAIN), blurred(PLAIN))
    together = metric(pictures)
    assert together.shape == (3,)
    assert torch.equal(together, torch.cat([metric(pictures[i : i + 1]) for i in range(3)]))


def test_judges_the_picture_as_it_would_be_saved(formula: str) -> None:
    metric = NIQE(weights=formula)
    saved = tensor(np.where(texture(192, 288) > 200, np.uint8(255), texture(192, 288)))
    beyond = torch.where(saved == 1, 1.3, saved + 0.0015)
    assert torch.equal(metric(beyond), metric(saved))


def test_what_the_last_block_leaves_over_does_not_count(formula: str) -> None:
    metric = NIQE(weights=formula)
    larger = texture(250, 320)
    other = larger.copy()
    other[192:], other[:, 288:] = 255 - larger[192:], 255 - larger[:, 288:]
    assert torch.equal(metric(tensor(larger)), metric(tensor(other)))
    assert torch.equal(metric(tensor(larger)), metric(tensor(larger[:192, :288])))


def test_a_flat_block_has_shapes_only() -> None:
    luma = torch.from_numpy(PLAIN[..., 1]).double()
    luma[:112, :112] = 77  # and as far around as filters reach
    found = features(luma)
    assert found.shape == (6, 36)
    assert found.isnan().sum(dim=1).tolist() == [26, 0, 0, 0, 0, 0]
    assert found[0][~found[0].isnan()].tolist() == [0.2] * 10


def test_pictures_without_texture_have_no_score(formula: str) -> None:
    metric = NIQE(weights=formula)
    flat, one_block, two_blocks = (np.full((192, 288, 3), 77, np.uint8) for _ in range(3))
    one_block[:96, :96] = PLAIN[:96, :96]
    two_blocks[:96, :192] = PLAIN[:96, :192]
    assert metric(tensor(flat, one_block, two_blocks)).isnan().tolist() == [True, True, False]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (90, 400), (191, 100)])
def test_a_picture_without_room_for_two_blocks_is_refused(
    height: int, width: int, formula: str
) -> None:
    metric = NIQE(weights=formula)
    with pytest.raises(ValueError, match=f"two blocks of 96 × 96 .* {width} × {height};"):
        metric(torch.rand(1, 3, height, width))
    assert metric(torch.rand(1, 3, max(height, 192), max(width, 192))).isfinite()


def test_protocol_names_luma_blocks_and_the_model(formula: str) -> None:
    digest = hashlib.sha256(Path(formula).read_bytes()).hexdigest()[:12]
    assert NIQE(weights=formula).protocol == (
        "no reference, 8-bit RGB, BT.601 luma 16…235 rounded, blocks of 96 px at 2 scales, model "
        f"of photographs with sha256 {digest}, mean over images"
    )


def test_without_the_model_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="run `frx fetch niqe`"):
        NIQE()


def test_a_fetched_model_has_to_be_the_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formula: str
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path))
    fetched = tmp_path / "weights" / weights.KNOWN["niqe"].file
    fetched.parent.mkdir()
    fetched.write_bytes(Path(formula).read_bytes())
    with pytest.raises(DataError, match="is damaged or another file"):
        NIQE()
    known = weights.KNOWN["niqe"]
    digest = hashlib.sha256(fetched.read_bytes()).hexdigest()
    table = {"niqe": attrs.evolve(known, sha256=digest)}
    monkeypatch.setattr(weights, "KNOWN", table)
    assert NIQE().protocol == NIQE(weights=formula).protocol


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/nowhere/that/was/run"),)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ({"mu_pris_param": np.ones(36)}, "cov_pris_param is not a file in the archive"),
        ({"mu_pris_param": np.ones(18), "cov_pris_param": np.eye(18)}, "mu_pris_param has 18"),
        ({"mu_pris_param": np.ones(36), "cov_pris_param": np.ones(36)}, "cov_pris_param 36, where"),
        (
            {"mu_pris_param": np.full(36, np.nan), "cov_pris_param": np.eye(36)},
            "is damaged: a number in it is not finite",
        ),
        ({"mu_pris_param": np.array([Evil()] * 36, object)}, "allow_pickle=False"),
        (b"PK\x03\x04 cut off", "does not hold a model of photographs for niqe"),
        (b"\x80\x04pickled", "does not hold a model of photographs for niqe"),
        (b"", "does not hold a model of photographs for niqe"),
    ],
)
def test_a_file_that_is_no_model_is_named(
    content: dict[str, Any] | bytes, wrong: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(DataError, match=wrong) as raised:
        NIQE(weights=str(path))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


RECIPE = """\
name = "natural"
[data]
use = "synthetic_faces"
count = 8
size = {size}
split = [0.5, 0.25, 0.25]
[[degradations]]
use = "square_hole"
[model]
use = "unet"
width = 4
[[metrics]]
use = "niqe"
weights = "{weights}"
[[stages]]
name = "only"
epochs = 1
batch_size = 2
losses = [{{ use = "l1" }}]
"""


def test_a_recipe_is_checked_with_it(frx: Frx, tmp_path: Path, niqe_model: str) -> None:
    recipe = tmp_path / "natural.toml"
    for size, file, code, said in (
        (192, Path(niqe_model).as_posix(), 0, "one of val, untrained: niqe "),
        (128, Path(niqe_model).as_posix(), 2, "room for two blocks of 96 × 96 pixels"),
        (192, "niqe", 3, "run `frx fetch niqe`"),
    ):
        recipe.write_text(RECIPE.format(size=size, weights=file), encoding="utf-8")
        answer = frx("check", str(recipe))
        assert answer[0] == code, answer
        assert said in " ".join((answer[1] + answer[2]).split())
