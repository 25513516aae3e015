"""Confidence intervals of means: what theory says of them, groups, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from frx.scoring.intervals import mean_interval


def test_it_is_that_of_the_normal_distribution_for_many_values() -> None:
    values = np.random.default_rng(1).normal(20, 3, 1000)
    reach = 1.96 * values.std() / math.sqrt(1000)
    low, high = mean_interval(values)
    assert low == pytest.approx(values.mean() - reach, abs=0.1 * reach)
    assert high == pytest.approx(values.mean() + reach, abs=0.1 * reach)


def test_it_holds_the_truth_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        low, high = mean_interval(rng.exponential(1, 100))
        held += low <= 1 <= high
    assert 0.91 < held / 300 < 0.98


def test_it_is_scipys() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).gamma(2, 3, 57)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert mean_interval(values) == pytest.approx([theirs.low, theirs.high], rel=0.01)


def test_copies_of_an_image_make_no_interval_narrower() -> None:
    values = np.random.default_rng(4).normal(size=50)
    alone = mean_interval(values)
    thrice = np.repeat(values, 3)
    assert mean_interval(thrice, np.repeat(np.arange(50), 3)) == pytest.approx(alone)
    low, high = mean_interval(thrice)
    assert high - low < 0.7 * (alone[1] - alone[0])


def test_groups_count_by_their_images() -> None:
    assert mean_interval([0, 0, 0, 8], [1, 1, 1, 2]) == [0, 8]
    low, high = mean_interval([0, 0, 0, 4] * 20, np.repeat(np.arange(40), 2))
    assert low < 1 < high


def test_equal_values_have_exactly_their_own(recwarn: pytest.WarningsRecorder) -> None:
    assert mean_interval([0.1] * 7) == [0.1, 0.1]
    assert not recwarn.list


def test_images_without_the_region_are_left_out() -> None:
    values = [1.0, 2.0, 4.0]
    assert mean_interval([math.nan, *values, math.nan], [9, 1, 2, 3, 9]) == mean_interval(values)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, 2.0, math.inf]])
def test_too_little_has_none(values: list[float]) -> None:
    assert mean_interval(values) is None


def test_one_group_has_none() -> None:
    assert mean_interval([1.0, 2.0], [5, 5]) is None


def test_a_large_set_is_drawn_in_parts_to_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(size=300)
    whole = mean_interval(values)
    monkeypatch.setattr("frx.scoring.intervals.NUMBERS_AT_ONCE", 1000)
    assert mean_interval(values) == pytest.approx(whole)
