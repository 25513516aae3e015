"""What all losses that can be limited to a region have in common."""

import pytest
import torch
from torch.nn import functional as F

from frx_losses.l1 import l1
from frx_losses.mse import mse
from frx_losses.sobel import sobel
from frx_losses.ssim import ssim

# How far from a pixel others still take part in its value: nothing, a neighbour, half a window.
REACH_PX = {l1: 0, mse: 0, sobel: 1, ssim: 5}

each_loss = pytest.mark.parametrize("loss", REACH_PX, ids=lambda loss: loss.__name__)


def pictures(size=40, batch=2):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(batch, 3, size, size, generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    return (clean + 0.1 * noise).clamp(0, 1), clean


def square(size=40, *, first=14, last=24, batch=2):
    region = torch.zeros(batch, 1, size, size)
    region[..., first:last, first:last] = 1
    return region


@each_loss
def test_nothing_changes_with_pixels_beyond_the_reach_of_the_region(loss):
    restored, clean = pictures()
    reach = REACH_PX[loss]
    near = square(first=14 - reach, last=24 + reach)
    other, other_clean = torch.rand(2, *clean.shape, generator=torch.Generator().manual_seed(9))
    elsewhere = (restored * near + other * (1 - near), clean * near + other_clean * (1 - near))
    assert loss(*elsewhere, square()) == loss(restored, clean, square())
    assert loss(*elsewhere) != loss(restored, clean)


@each_loss
def test_the_gradient_ends_with_the_reach_of_the_region(loss):
    restored, clean = pictures()
    restored.requires_grad_(True)
    loss(restored, clean, square()).backward()
    reach = REACH_PX[loss]
    rows, columns = restored.grad.abs().amax(dim=(0, 1)).nonzero().unbind(dim=1)
    for touched in (rows, columns):
        assert (touched.min().item(), touched.max().item()) == (14 - reach, 23 + reach)


@each_loss
def test_a_hole_weighs_the_same_however_large_the_picture_around_it_is(loss):
    restored, clean = pictures(160, batch=1)
    hole = square(160, first=75, last=85, batch=1)
    composite = torch.where(hole > 0, restored, clean)
    limited, whole = [], []
    for margin in (60, 40, 0):  # 40, 80, 160 pixels
        cut = [F.pad(picture, (-margin,) * 4) for picture in (composite, clean, hole)]
        assert cut[2].sum() == 100
        limited.append(loss(*cut).item())
        whole.append(loss(*cut[:2]).item())
    assert limited == pytest.approx(limited[:1] * 3, rel=1e-4)
    # Without a region 100 pixels fade; a weight of 100 then acts like one of 4.
    assert whole[1] == pytest.approx(whole[0] / 4, rel=1e-2)
    assert whole[2] == pytest.approx(whole[0] / 16, rel=1e-2)


@each_loss
def test_each_picture_counts_by_its_pixels_in_the_region(loss):
    restored, clean = pictures()
    restored[1] = clean[1].flip(2)
    region = square()
    region[1] = square(first=5, last=10, batch=1)
    alone = [loss(restored[i : i + 1], clean[i : i + 1], region[i : i + 1]).item() for i in (0, 1)]
    assert alone[1] > 1.5 * alone[0]
    expected = (100 * alone[0] + 25 * alone[1]) / 125
    assert loss(restored, clean, region).item() == pytest.approx(expected, rel=1e-5)


@each_loss
def test_an_empty_region_in_one_picture_leaves_the_others(loss):
    restored, clean = pictures()
    restored.requires_grad_(True)
    region = square()
    region[1] = 0
    value = loss(restored, clean, region)
    value.backward()
    alone = loss(restored[:1], clean[:1], region[:1])
    assert value.item() == pytest.approx(alone.item(), rel=1e-5)
    assert restored.grad[0].abs().max() > 0
    assert restored.grad[1].abs().max() == 0


@each_loss
def test_computes_in_float32_under_autocast(loss):
    restored, clean = pictures()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(restored, clean, square())
    assert value.dtype == torch.float32
    assert value == loss(restored, clean, square())
    assert loss(restored.bfloat16(), clean.bfloat16(), square()).dtype == torch.float32
