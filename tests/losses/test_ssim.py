import pytest
import torch
from torch.nn import functional as F

from frx_losses.ssim import ssim


def pictures(size=(32, 41), batch=3):
    """Smooth ones and their noisy versions, each noisier than the one before."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, 4, 4, generator=generator)
    clean = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True).clamp(0, 1)
    amount = torch.linspace(0.02, 0.2, batch).view(-1, 1, 1, 1)
    noise = torch.randn(clean.shape, generator=generator)
    return (clean + amount * noise).clamp(0, 1), clean


def test_is_one_minus_that_of_torchmetrics_over_all_pictures():
    reference = pytest.importorskip("torchmetrics.functional.image")
    restored, clean = pictures()
    expected, full = reference.structural_similarity_index_measure(
        restored.double(), clean.double(), data_range=1.0, return_full_image=True
    )
    assert ssim(restored, clean).item() == pytest.approx(1 - expected.item(), abs=2e-6)
    region = torch.zeros(3, 1, 32, 41)
    region[:2, :, 4:20, 7:30] = 1
    inside = full[:2, :, 4:20, 7:30].mean().item()
    assert ssim(restored, clean, region).item() == pytest.approx(1 - inside, abs=2e-6)


def test_every_picture_of_the_batch_counts():
    restored, clean = pictures()
    alone = [ssim(restored[i : i + 1], clean[i : i + 1]).item() for i in range(3)]
    assert alone == sorted(alone)
    assert alone[2] > 2 * alone[0]
    assert ssim(restored, clean).item() == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_is_exactly_zero_at_equality():
    _, clean = pictures()
    assert ssim(clean, clean).item() == 0


def test_descent_brings_a_grey_hole_nearer():
    _, clean = pictures(batch=1)
    hole = torch.zeros(1, 1, 32, 41)
    hole[..., 10:20, 10:20] = 1
    filled = (clean * (1 - hole) + 0.5 * hole).requires_grad_()
    optimizer = torch.optim.Adam([filled], lr=0.01)
    history = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = ssim(filled, clean, hole)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.5 * history[0]


def test_a_picture_smaller_than_the_window_says_so():
    image = torch.zeros(1, 3, 10, 32)
    with pytest.raises(ValueError, match=r"11 × 11 .* 32 × 10"):
        ssim(image, image)
