import pytest
import torch

from frx_losses.l1 import l1
from frx_losses.masked_l1 import masked_l1


def pictures(batch=2):
    generator = torch.Generator().manual_seed(0)
    restored, clean = torch.rand(2, batch, 3, 8, 9, generator=generator)
    mask = (torch.rand(batch, 1, 8, 9, generator=generator) < 0.2).float()
    return restored, clean, mask


def test_known_value():
    clean = torch.full((2, 3, 4, 5), 0.5)
    restored = clean.clone()
    mask = torch.zeros(2, 1, 4, 5)
    mask[0, 0, 0, :3], mask[1, 0, 1, 2] = 1, 1
    restored[0, :, 0, :3] += 0.1  # three marked pixels in one picture, one in the other
    restored[1, :, 1, 2] -= 0.5
    restored[1, :, 3] = 0  # not marked
    # Three channels: 3 · (3 · 0.1 + 0.5) over the 4 marked pixels of the batch.
    assert masked_l1(restored, clean, mask).item() == pytest.approx(0.6, abs=1e-6)


def test_it_is_the_formula_pixel_by_pixel():
    restored, clean, mask = pictures()
    total, marked = 0.0, 0
    for image in range(2):
        for row in range(8):
            for column in range(9):
                if mask[image, 0, row, column]:
                    marked += 1
                    difference = restored[image, :, row, column] - clean[image, :, row, column]
                    total += difference.abs().sum().item()
    assert 0 < marked < 2 * 8 * 9
    assert masked_l1(restored, clean, mask).item() == pytest.approx(total / marked, rel=1e-5)


def test_it_is_half_of_the_same_in_signed_values_and_three_times_l1_in_the_region():
    restored, clean, mask = pictures()
    value = masked_l1(restored, clean, mask)
    signed = masked_l1(2 * restored - 1, 2 * clean - 1, mask)
    torch.testing.assert_close(signed, 2 * value)
    torch.testing.assert_close(3 * l1(restored, clean, mask), value)


def test_where_nothing_is_marked_it_is_zero_and_so_is_its_gradient():
    restored, clean, mask = pictures()
    restored.requires_grad_(True)
    value = masked_l1(restored, clean, torch.zeros_like(mask))
    value.backward()
    assert value.item() == 0
    assert torch.equal(restored.grad, torch.zeros_like(restored))


def test_a_picture_without_damage_does_not_count():
    restored, clean, mask = pictures()
    mask[1] = 0
    alone = masked_l1(restored[:1], clean[:1], mask[:1])
    torch.testing.assert_close(masked_l1(restored, clean, mask), alone)


def test_the_gradient_is_that_of_marked_pixels_alone():
    restored, clean, mask = pictures()
    restored.requires_grad_(True)
    masked_l1(restored, clean, mask).backward()
    expected = (restored - clean).sign() * mask / mask.sum()
    torch.testing.assert_close(restored.grad, expected.detach())


def test_half_precision_is_summed_in_float32():
    clean = torch.zeros(1, 3, 64, 64)
    restored = torch.full((1, 3, 64, 64), 0.25, dtype=torch.bfloat16)
    value = masked_l1(restored, clean, torch.ones(1, 1, 64, 64))
    assert value.dtype == torch.float32
    assert value.item() == 0.75
