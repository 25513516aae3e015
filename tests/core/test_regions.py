"""Means over a region, rings around it, and who asks for one."""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from frx.build import wants
from frx.regions import grown, mean_over


def some_values() -> tuple[Tensor, Tensor]:
    """Values [2, 3, 6, 5] and a region of 2 pixels in the first picture, 6 in the second."""
    values = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    region = torch.zeros(2, 1, 6, 5)
    region[0, 0, 1, 2:4] = 1
    region[1, 0, 2:4, :3] = 1
    return values, region


def test_without_a_region_it_is_the_mean() -> None:
    values, _ = some_values()
    assert mean_over(values, None) == values.mean()
    assert mean_over(values, torch.ones(2, 1, 6, 5)).item() == pytest.approx(values.mean().item())


def test_every_pixel_of_the_region_counts_the_same_in_whichever_picture_it_is() -> None:
    values, region = some_values()
    inside = [*values[0, :, 1, 2:4].flatten().tolist(), *values[1, :, 2:4, :3].flatten().tolist()]
    assert len(inside) == 3 * 8
    assert mean_over(values, region).item() == pytest.approx(sum(inside) / len(inside))
    assert mean_over(values * region, region).item() == pytest.approx(sum(inside) / len(inside))


def test_only_values_in_the_region_get_a_gradient() -> None:
    values, region = some_values()
    values.requires_grad_(True)
    torch.autograd.backward(mean_over(values, region))
    assert torch.equal(values.grad, (region / 24).expand(2, 3, 6, 5))


def test_an_empty_region_is_zero_without_gradient() -> None:
    values, region = some_values()
    values.requires_grad_(True)
    mean = mean_over(values, torch.zeros_like(region))
    torch.autograd.backward(mean)
    assert mean.item() == 0
    assert torch.equal(values.grad, torch.zeros_like(values))


def test_half_precision_is_summed_in_float32() -> None:
    values = torch.full((1, 3, 100, 100), 0.1, dtype=torch.bfloat16)
    region = torch.ones(1, 1, 100, 100, dtype=torch.bfloat16)  # 30,000 is beyond its whole numbers
    for mean in (mean_over(values, region), mean_over(values, None)):
        assert mean.dtype == torch.float32
        assert mean.item() == pytest.approx(values[0, 0, 0, 0].item(), rel=1e-5)


def test_a_hole_of_32_becomes_40_with_a_ring_of_4() -> None:
    mask = torch.zeros(2, 1, 64, 60)
    mask[0, 0, 16:48, 10:42] = 1
    expected = torch.zeros_like(mask)
    expected[0, 0, 12:52, 6:46] = 1
    assert torch.equal(grown(mask, 4), expected)
    assert torch.equal(grown(mask, 0), mask)


def test_a_ring_ends_at_the_border() -> None:
    mask = torch.zeros(1, 1, 8, 9)
    mask[0, 0, 0, 8] = 1
    assert grown(mask, 3)[0, 0].nonzero().tolist() == [
        [row, column] for row in range(4) for column in range(5, 9)
    ]
    assert grown(mask, 20).min() == 1


@pytest.mark.parametrize("ring_px", [1, 3, 6])
def test_a_ring_is_opencvs_dilation_by_a_square(ring_px: int) -> None:
    mask = (np.random.default_rng(ring_px).random((37, 53)) < 0.01).astype(np.uint8)
    side = 2 * ring_px + 1
    expected = cv2.dilate(mask, np.ones((side, side), np.uint8))
    found = grown(torch.from_numpy(mask).float()[None, None], ring_px)[0, 0]
    np.testing.assert_array_equal(found.numpy(), expected)


def limited(restored: Tensor, clean: Tensor, region: Tensor | None = None, *, p: int = 1) -> Tensor:
    return mean_over((restored - clean).abs() ** p, region)


def unlimited(restored: Tensor, clean: Tensor, *, region: int = 1) -> Tensor:
    return (restored - clean).abs().mean() ** region


class Limited:
    def __call__(self, restored: Tensor, clean: Tensor, region: Tensor) -> Tensor:
        return limited(restored, clean, region)


class LimitedNetwork(nn.Module):
    def forward(self, restored: Tensor, clean: Tensor, region: Tensor) -> Tensor:
        return limited(restored, clean, region)


@pytest.mark.parametrize(
    ("component", "asks"),
    [
        (limited, True),
        (partial(limited, p=2), True),
        (partial(partial(limited), p=2), True),
        (Limited(), True),
        (partial(Limited()), True),
        (Limited().__call__, True),
        (LimitedNetwork(), True),
        (unlimited, False),  # there it is an option
        (partial(unlimited, region=2), False),
        (nn.ReLU(), False),
    ],
)
def test_a_component_of_any_form_can_ask_for_a_region(component: Any, asks: bool) -> None:
    assert wants(component, "region") is asks
