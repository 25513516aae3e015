"""Scores of the damage that a network finds."""

import pytest
import torch
from torch import nan

from frx_metrics.mask_iou import MaskIoU
from frx_metrics.mask_precision import MaskPrecision
from frx_metrics.mask_recall import MaskRecall

ALL = (MaskIoU(), MaskPrecision(), MaskRecall())
each_metric = pytest.mark.parametrize("metric", ALL, ids=lambda metric: type(metric).__name__)


def masks(shape=(5, 1, 37, 53), seed=0):
    """A mask, and one found that agrees with it in some share of the pixels, other in each."""
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(shape, generator=generator) < 0.3).float()
    share = torch.linspace(0.05, 0.9, shape[0]).reshape(-1, 1, 1, 1)
    flipped = torch.rand(shape, generator=generator) < share
    return mask, torch.where(flipped, 1 - mask, mask)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (MaskIoU(), "BinaryJaccardIndex"),
        (MaskPrecision(), "BinaryPrecision"),
        (MaskRecall(), "BinaryRecall"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_image_scores_what_torchmetrics_gives(metric, name, seed):
    classification = pytest.importorskip("torchmetrics.classification")
    mask, found = masks(seed=seed)
    expected = [
        getattr(classification, name)()(found[number].int(), mask[number].int())
        for number in range(len(mask))
    ]
    assert len({round(value.item(), 4) for value in expected}) == len(expected)
    torch.testing.assert_close(metric(mask, found), torch.stack(expected), rtol=1e-6, atol=0)


def test_known_values():
    mask, found = torch.zeros(2, 1, 1, 4, 5)
    mask[..., 0, :4] = 1  # four pixels are damaged,
    found[..., 0, 1:3] = 1  # two of them found,
    found[..., 2, 2] = 1  # and one that is not damaged
    assert MaskIoU()(mask, found).tolist() == pytest.approx([2 / 5])
    assert MaskPrecision()(mask, found).tolist() == pytest.approx([2 / 3])
    assert MaskRecall()(mask, found).tolist() == pytest.approx([2 / 4])


@pytest.mark.parametrize(
    ("metric", "neither", "missed", "invented"),
    [(MaskIoU(), 1.0, 0.0, 0.0), (MaskPrecision(), nan, nan, 0.0), (MaskRecall(), nan, 0.0, nan)],
)
def test_without_damage_or_a_find(metric, neither, missed, invented):
    some, none = torch.ones(1, 1, 4, 5), torch.zeros(1, 1, 4, 5)
    mask = torch.cat([none, some, none, some])
    found = torch.cat([none, none, some, some])
    expected = torch.tensor([neither, missed, invented, 1.0])
    torch.testing.assert_close(metric(mask, found), expected, rtol=0, atol=0, equal_nan=True)


@each_metric
def test_the_true_mask_scores_one(metric):
    mask, _ = masks()
    assert torch.equal(metric(mask, mask), torch.ones(5))
    assert metric.higher_is_better
    assert "mean over images of each image's own" in metric.protocol
    assert "of pixels" in metric.protocol


@each_metric
def test_counts_are_exact_in_any_float_type(metric):
    """Of 300,000 pixels, which neither float16 nor bfloat16 can count."""
    mask, found = masks((1, 1, 500, 600))
    value = metric(mask, found)
    assert value.dtype == torch.float32
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(metric(mask.to(dtype), found.to(dtype)), value)
