"""The metrics `l1` and `edge`."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from frx.datasets.synthetic_faces import SyntheticFaces
from frx_metrics.edge import Edge
from frx_metrics.l1 import L1


def pictures(size: tuple[int, int] = (48, 61), batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(batch, 3, *size, generator=generator)
    error = 0.1 * torch.randn(clean.shape, generator=generator)
    return (clean + error).clamp(0, 1), clean


def in_double(picture: Tensor) -> NDArray[np.float64]:
    """[H, W, 3] of [3, H, W]."""
    return np.ascontiguousarray(picture.permute(1, 2, 0).double().numpy())


def opencv(picture: Tensor) -> NDArray[np.float64]:
    """Magnitudes [H, W, 3] of a picture [3, H, W]."""
    gx, gy = (
        cv2.Sobel(in_double(picture), cv2.CV_64F, *order, ksize=3, borderType=cv2.BORDER_REPLICATE)
        for order in ((1, 0), (0, 1))
    )
    magnitude: NDArray[np.float64] = np.hypot(gx, gy)
    return magnitude


def faces() -> Tensor:
    drawn = SyntheticFaces(size=256)
    stacked = np.stack([drawn[index]["clean"] for index in range(2)])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255


def test_l1_is_numpys_mean_absolute_difference() -> None:
    for restored, clean in (pictures(), (1 - faces(), faces())):
        expected = [
            np.abs(in_double(a) - in_double(b)).mean() for a, b in zip(restored, clean, strict=True)
        ]
        assert L1()(restored, clean).tolist() == pytest.approx(expected, abs=1e-6)


def test_edge_is_the_difference_of_opencvs_sobel_magnitudes() -> None:
    blurred = torch.nn.functional.avg_pool2d(faces(), 5, stride=1, padding=2)
    for restored, clean in (pictures(), (blurred, faces())):
        expected = [
            np.abs(opencv(a) - opencv(b)).mean() for a, b in zip(restored, clean, strict=True)
        ]
        assert min(expected) > 0.05
        # The addend under the root, 1e-8, shows in flat places: by 1e-4 at the very most.
        assert Edge()(restored, clean).tolist() == pytest.approx(expected, abs=2e-5)


def test_edge_in_a_region_is_opencvs_there() -> None:
    restored, clean = pictures()
    region = torch.zeros(2, 1, 48, 61)
    region[0, :, :20] = 1
    region[1, :, 7:, 30:40] = 1
    expected = [
        np.abs(opencv(a) - opencv(b))[part[0].numpy() > 0].mean()
        for a, b, part in zip(restored, clean, region, strict=True)
    ]
    assert Edge()(restored, clean, region).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_tenth_everywhere_is_an_l1_of_a_tenth_and_no_edge() -> None:
    clean = pictures()[1] * 0.8
    assert L1()(clean + 0.1, clean).tolist() == pytest.approx([0.1, 0.1], abs=1e-6)
    assert Edge()(clean + 0.1, clean).tolist() == pytest.approx([0, 0], abs=1e-5)


def test_a_step_that_is_gone_has_4_along_both_its_sides() -> None:
    flat, step = torch.zeros(1, 3, 8, 10), torch.zeros(1, 3, 8, 10)
    step[..., 5:] = 1
    assert Edge()(flat, step).item() == pytest.approx(2 / 10 * 4, abs=1e-4)


@pytest.mark.parametrize("metric", [L1(), Edge()], ids=["l1", "edge"])
class TestBoth:
    def test_equal_pictures_have_0(self, metric: Any) -> None:
        _, clean = pictures()
        assert metric(clean, clean).tolist() == [0, 0]
        assert metric.higher_is_better is False

    def test_outside_the_region_nothing_counts(self, metric: Any) -> None:
        restored, clean = pictures((40, 40))
        restored[..., 20:] = clean[..., 20:]
        region = torch.zeros(2, 1, 40, 40)
        region[..., 22:] = 1
        assert metric(restored, clean, region).tolist() == [0, 0]
        assert (metric(restored, clean, 1 - region) > metric(restored, clean)).all()

    def test_an_empty_region_is_not_a_number_and_spares_the_others(self, metric: Any) -> None:
        restored, clean = pictures()
        region = torch.ones(2, 1, 48, 61)
        region[1] = 0
        score = metric(restored, clean, region)
        assert score[0].item() == pytest.approx(metric(restored, clean)[0].item(), rel=1e-5)
        assert score[1].isnan()

    def test_takes_bfloat16_and_answers_in_float32(self, metric: Any) -> None:
        restored, clean = pictures()
        score = metric(restored.bfloat16(), clean)
        assert score.dtype == torch.float32
        torch.testing.assert_close(score, metric(restored, clean), rtol=0.05, atol=0)
