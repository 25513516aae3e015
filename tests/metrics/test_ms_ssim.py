"""The metric `ms_ssim`, beside pytorch-msssim and torchmetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from frx.datasets.synthetic_faces import SyntheticFaces
from frx.ssim import ssim_map, ssim_terms
from frx_metrics.ms_ssim import LEVEL_WEIGHTS, MSSSIM

Frx = Callable[..., tuple[int, str, str]]
Picture = NDArray[np.uint8]


def texture(height: int, width: int, seed: int) -> Picture:
    """Squares of six sizes, random and the same on every machine."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 16)
    for step_px, levels in ((32, 64), (16, 48), (8, 40), (4, 32), (2, 24), (1, 16)):
        coarse = rng.integers(0, levels, (height // step_px + 1, width // step_px + 1, 3))
        total += coarse.repeat(step_px, axis=0).repeat(step_px, axis=1)[:height, :width]
    return total.astype(np.uint8)


def noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(1).integers(-60, 61, picture.shape)
    return (picture.astype(int) + noise).clip(0, 255).astype(np.uint8)


def blurred(picture: Picture) -> Picture:
    padded = np.pad(picture.astype(int), ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = picture.shape[:2]
    shifted = (padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return (sum(shifted, np.zeros(picture.shape, int)) // 9).astype(np.uint8)


def tensor(*pictures: Picture) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


CLEAN = texture(192, 256, 4)


# By pytorch-msssim 1.0.0, data_range 1, in float64.
@pytest.mark.parametrize(
    ("restored", "expected"),
    [
        (noisy(CLEAN), 0.8216429262),
        (blurred(blurred(CLEAN)), 0.9200314128),
        (CLEAN // 2 + 20, 0.8132440051),
        (texture(192, 256, 5), 0.0),
    ],
    ids=["noisy", "blurred", "less contrast", "another picture"],
)
def test_is_pytorch_msssim(restored: Picture, expected: float) -> None:
    score = MSSSIM()(tensor(restored), tensor(CLEAN))
    assert score.item() == pytest.approx(expected, abs=5e-6)


def test_is_pytorch_msssim_where_sizes_are_odd() -> None:
    clean = texture(215, 171, 4)  # odd before three of the four halvings
    score = MSSSIM()(tensor(noisy(clean)), tensor(clean))
    assert score.item() == pytest.approx(0.7727400657, abs=5e-6)


# Given the paper's first weights divided by their sum.
@pytest.mark.parametrize(("levels", "expected"), [(1, 0.2795590846), (3, 0.7376391437)])
def test_is_pytorch_msssim_with_fewer_levels(levels: int, expected: float) -> None:
    score = MSSSIM(levels=levels)(tensor(noisy(CLEAN)), tensor(CLEAN))
    assert score.item() == pytest.approx(expected, abs=5e-6)


def damaged_faces() -> Iterator[tuple[Tensor, Tensor]]:
    clean = tensor(SyntheticFaces(size=176)[0]["clean"])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    yield (clean + 0.1 * noise).clamp(0, 1), clean
    yield F.avg_pool2d(F.pad(clean, (4,) * 4, mode="reflect"), 9, stride=1), clean
    yield clean * 0.5 + 0.2, clean


def test_is_made_of_what_torchmetrics_computes() -> None:
    """Channel by channel: four factors of its MS-SSIM, and the inside of its last SSIM map."""
    reference = pytest.importorskip("torchmetrics.functional.image")
    for restored, clean in damaged_faces():
        planes = [picture.double().reshape(-1, 1, 176, 176) for picture in (restored, clean)]
        finer = reference.multiscale_structural_similarity_index_measure(
            *planes, data_range=1.0, reduction="none", betas=(*LEVEL_WEIGHTS[:4], 0.0)
        )
        coarse = [F.avg_pool2d(plane, 16) for plane in planes]
        _, last = reference.structural_similarity_index_measure(
            *coarse, data_range=1.0, return_full_image=True
        )
        coarsest = last[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)).relu() ** LEVEL_WEIGHTS[4]
        expected = (finer * coarsest).mean(dim=0, keepdim=True)
        score = MSSSIM()(restored, clean).double()
        torch.testing.assert_close(score, expected, rtol=0, atol=5e-6)


def test_torchmetrics_with_its_own_border_and_channels_is_near() -> None:
    reference = pytest.importorskip("torchmetrics.functional.image")
    for restored, clean in damaged_faces():
        expected = reference.multiscale_structural_similarity_index_measure(
            restored, clean, data_range=1.0, reduction="none"
        )
        torch.testing.assert_close(MSSSIM()(restored, clean), expected, rtol=0, atol=0.01)


def test_the_two_terms_make_the_inside_of_the_ssim_map() -> None:
    restored, clean = tensor(noisy(CLEAN)), tensor(CLEAN)
    brightness, texture = ssim_terms(restored, clean)
    whole = ssim_map(restored, clean)
    torch.testing.assert_close(brightness * texture, whole[..., 5:-5, 5:-5], rtol=0, atol=1e-6)
    darker, _ = ssim_terms(clean * 0.5, clean)
    _, lighter = ssim_terms(clean * 0.5 + 0.5, clean * 0.5)
    assert darker.mean() < 0.9
    torch.testing.assert_close(lighter, torch.ones_like(lighter), rtol=0, atol=1e-4)


def test_equal_pictures_have_exactly_1() -> None:
    for levels in range(1, 6):
        assert MSSSIM(levels=levels)(tensor(CLEAN), tensor(CLEAN)).item() == 1


def test_an_image_is_scored_alike_in_any_batch() -> None:
    clean, restored = tensor(CLEAN, blurred(CLEAN)), tensor(noisy(CLEAN), CLEAN)
    together = MSSSIM()(restored, clean)
    alone = torch.cat([MSSSIM()(restored[i : i + 1], clean[i : i + 1]) for i in range(2)])
    assert together.shape == (2,)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("levels", "smallest_px"), [(1, 11), (2, 21), (3, 41), (4, 81), (5, 161)])
def test_the_window_has_to_fit_at_the_coarsest_level(levels: int, smallest_px: int) -> None:
    metric = MSSSIM(levels=levels)
    assert metric.smallest_px == smallest_px
    fits = torch.rand(1, 3, smallest_px, smallest_px + 7)
    assert metric(fits, fits).item() == 1
    with pytest.raises(ValueError, match=f"at least {smallest_px} × {smallest_px} pixels"):
        metric(fits[:, :, 1:], fits[:, :, 1:])


def test_says_how_many_levels_there_is_room_for() -> None:
    small, tiny = torch.zeros(1, 3, 64, 80), torch.zeros(1, 3, 10, 80)
    with pytest.raises(ValueError, match=r"here is one of 80 × 64; set levels = 3$"):
        MSSSIM()(small, small)
    assert MSSSIM(levels=3)(small, small).item() == 1
    with pytest.raises(ValueError, match=r"leave the metric out$"):
        MSSSIM(levels=1)(tiny, tiny)


def test_protocol_names_levels_and_weights() -> None:
    assert "5 of 5 levels, weights 0.0448, 0.2856, 0.3001, 0.2363, 0.1333," in MSSSIM().protocol
    assert "2 of 5 levels, weights 0.1356, 0.8644," in MSSSIM(levels=2).protocol


RECIPE = """\
name = "small"
[data]
use = "synthetic_faces"
count = 8
size = 64
split = [0.5, 0.25, 0.25]
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[metrics]]
use = "ms_ssim"
[[stages]]
name = "only"
epochs = 1
batch_size = 2
losses = [{ use = "l1" }]
"""


def test_a_recipe_whose_pictures_are_too_small_is_refused_before_training(
    frx: Frx, tmp_path: Path
) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    wrong = "levels = 5 needs pictures of at least 161 × 161 pixels, and here is one of 64 × 64"
    for words in (("check", str(recipe)), ("run", str(recipe), "--out", str(tmp_path / "run"))):
        code, _, complaint = frx(*words)
        assert code == 2
        assert wrong in complaint
        assert "set levels = 3" in complaint
    assert not list((tmp_path / "run").glob("checkpoints/*"))
