"""Losses that find their gradient on the way forwards: the same as of their definitions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from frx.edges import EdgeDifference
from frx.mean_difference import Compare, differences, mean_difference
from frx.regions import mean_over
from frx.ssim import Dissimilarity


def dissimilarity(restored: Tensor, clean: Tensor) -> Tensor:
    """The definition, window by window."""
    offset = torch.arange(11, dtype=torch.float64) - 5
    line = torch.exp(-(offset**2) / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2

    def windows(image: Tensor) -> Tensor:
        padded = F.pad(image, (5, 5, 5, 5), mode="reflect")
        return padded.unfold(2, 11, 1).unfold(3, 11, 1)

    x, y = windows(restored), windows(clean)
    mean_x, mean_y = (x * window).sum((-1, -2)), (y * window).sum((-1, -2))
    deviation_x, deviation_y = x - mean_x[..., None, None], y - mean_y[..., None, None]
    variance = ((deviation_x**2 + deviation_y**2) * window).sum((-1, -2))
    covariance = (deviation_x * deviation_y * window).sum((-1, -2))
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    return 1 - luminance * (2 * covariance + 9e-4) / (variance + 9e-4)


def edge_difference(restored: Tensor, clean: Tensor) -> Tensor:
    """The definition, as convolutions."""
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)
    kernels = torch.stack([across, across.T])[:, None]

    def magnitude(image: Tensor) -> Tensor:
        planes = F.pad(image, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
        squares = F.conv2d(planes, kernels).square().sum(dim=1)
        return (squares + 1e-8).sqrt().view_as(image)

    return (magnitude(restored) - magnitude(clean)).abs()


MEASURES = [(Dissimilarity, dissimilarity), (EdgeDifference, edge_difference)]


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    """More than are compared at a time."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(6, 3, 14, 19, generator=generator)
    return (clean + 0.1 * torch.randn(clean.shape, generator=generator)).clamp(0, 1), clean


def quarter(share: float) -> Tensor:
    region = torch.zeros(6, 1, 14, 19)
    region[1:5, :, 2:9, :7] = share
    return region


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("region", [None, quarter(1), quarter(0.5)])
@pytest.mark.parametrize(("compare", "definition"), MEASURES)
def test_value_and_gradients_are_those_of_the_definition(
    compare: Compare,
    definition: Callable[[Tensor, Tensor], Tensor],
    region: Tensor | None,
    memory_format: torch.memory_format,
    pictures: tuple[Tensor, Tensor],
) -> None:
    ours = [picture.clone(memory_format=memory_format).requires_grad_() for picture in pictures]
    found = mean_difference(compare, ours[0], ours[1], region)
    theirs = [picture.detach().double().requires_grad_() for picture in ours]
    values = definition(*theirs)
    inside = values.new_ones(()) if region is None else region
    inside = inside.double().expand_as(values)
    expected = (values * inside).sum() / inside.sum()
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    (3 * found).backward()
    (3 * expected).backward()
    for mine, its in zip(ours, theirs, strict=True):
        assert mine.grad is not None
        assert its.grad is not None
        assert mine.grad.is_contiguous(memory_format=memory_format)
        largest = its.grad.abs().max().item()
        torch.testing.assert_close(mine.grad.double(), its.grad, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize("region", [None, quarter(1), quarter(0)])
@pytest.mark.parametrize(("compare", "_definition"), MEASURES)
def test_is_the_mean_of_the_differences(
    compare: Compare,
    _definition: object,
    region: Tensor | None,
    pictures: tuple[Tensor, Tensor],
) -> None:
    expected = mean_over(differences(compare, *pictures), region)
    torch.testing.assert_close(mean_difference(compare, *pictures, region), expected)


@pytest.mark.parametrize(("compare", "_definition"), MEASURES)
def test_where_nothing_counts_nothing_is_lost_or_learned(
    compare: Compare, _definition: object, pictures: tuple[Tensor, Tensor]
) -> None:
    restored = pictures[0].requires_grad_()
    loss = mean_difference(compare, restored, pictures[1], quarter(0))
    loss.backward()
    assert loss.item() == 0
    assert restored.grad is not None
    assert not restored.grad.any()


@pytest.mark.parametrize(("compare", "_definition"), MEASURES)
def test_gradients_are_of_the_same_type_as_the_pictures(
    compare: Compare, _definition: object, pictures: tuple[Tensor, Tensor]
) -> None:
    restored = pictures[0].bfloat16().requires_grad_()
    loss = mean_difference(compare, restored, pictures[1])
    with torch.autocast("cpu", torch.bfloat16):
        again = mean_difference(compare, restored, pictures[1])
    assert loss.dtype == torch.float32
    assert torch.equal(loss, again)
    loss.backward()
    assert restored.grad is not None
    assert restored.grad.dtype == torch.bfloat16
