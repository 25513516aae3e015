"""Differences over the same images: intervals, tests known from textbooks, Holm's correction."""

import math

import numpy as np
import pytest

from frx.comparing.significance import Difference, corrected, differences, holm, signed_rank_test


def of_two(first: np.ndarray, second: np.ndarray) -> Difference:
    """The difference `first` − `second`, whose table has `second` above."""
    (found,) = differences(np.stack([second, first], axis=1))
    return found


def test_holm_multiplies_the_smallest_p_by_their_number_and_lets_none_overtake() -> None:
    # As R's p.adjust(c(.04, .01, .05, .02, .03), "holm") has it.
    assert holm([0.04, 0.01, 0.05, 0.02, 0.03]) == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_wilcoxons_p_is_that_of_hollander_and_wolfes_patients() -> None:
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    p, direction = signed_rank_test(before - after)
    assert p == pytest.approx(2 * 0.01953125)  # V = 40; one-sided in their book
    assert direction == 1
    assert signed_rank_test(after - before) == (p, -1)


def test_a_tiny_but_constant_difference_is_significant_where_images_vary_much() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(25, 5, 100)
    found = of_two(first + rng.normal(0.02, 0.02, 100), first)
    assert found.significant
    assert found.p is not None
    assert found.p < 1e-6
    assert 0 < found.low < found.mean < found.high < 0.03


def test_a_large_but_noisy_difference_is_not() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(25, 5, 20)
    found = of_two(first + rng.normal(1, 6, 20), first)
    assert found.mean > 0.5
    assert not found.significant
    assert found.low < 0 < found.high


def test_a_little_better_on_most_images_and_much_worse_on_few_is_not_better_nor_worse() -> None:
    rng = np.random.default_rng(2)
    gain = rng.uniform(0.1, 0.2, 100)
    gain[:20] = rng.uniform(-3, -2, 20)
    found = of_two(gain, np.zeros(100))
    assert found.p is not None
    assert found.p < 0.05  # the ranks say better …
    assert found.ranks == 1
    assert found.high < 0  # … and the mean says worse
    assert not found.significant


def test_where_nothing_differs_p_is_one_and_few_images_have_none() -> None:
    same = of_two(np.arange(9.0), np.arange(9.0))
    assert (same.p, same.mean, same.significant) == (1.0, 0.0, False)
    five = of_two(np.arange(5.0) + 1, np.arange(5.0))
    assert five.p is None
    assert not five.significant
    six = of_two(np.arange(6.0) + 1, np.arange(6.0))
    assert six.p == pytest.approx(2 / 2**6)
    few_differ = np.zeros(50)
    few_differ[:5] = 1
    assert signed_rank_test(few_differ) == (None, 1)


def test_a_single_image_has_no_interval() -> None:
    found = of_two(np.array([2.0]), np.array([1.0]))
    assert found.mean == 1
    assert math.isnan(found.low)
    assert found.p is None


def test_every_two_complete_rows_are_compared_the_lower_with_the_upper() -> None:
    scores = np.random.default_rng(3).normal(size=(8, 4))
    scores[2, 1] = np.nan
    assert [(d.first, d.second) for d in differences(scores)] == [(2, 0), (3, 0), (3, 2)]


def test_p_is_corrected_over_all_families_and_only_by_those_that_were_tested() -> None:
    def tested(p: float | None) -> Difference:
        return Difference(1, 0, 1.0, 0.5, 1.5, p, 1)

    families = [[tested(0.02), tested(None)], [tested(0.01)], []]
    assert [[d.p for d in family] for family in corrected(families)] == [[0.02, None], [0.02], []]
    assert corrected([[tested(0.03)], [tested(0.04)]])[0][0].p == 0.06
