"""one_of, in_random_order and sometimes, with parts whose doing can be read off."""

import attrs
import numpy as np
import pytest

from frx_degradations.in_random_order import InRandomOrder
from frx_degradations.one_of import OneOf
from frx_degradations.sometimes import Sometimes

BLACK = np.zeros((4, 6, 3), np.uint8)


@attrs.frozen
class Digit:
    """Appends a decimal digit to every pixel."""

    digit: int

    def __call__(self, image, rng):
        return (image * 10 + self.digit).astype(np.uint8)


@attrs.frozen
class Hole:
    """Destroys one column."""

    column: int

    def __call__(self, image, rng):
        image, mask = image.copy(), np.zeros(image.shape[:2], np.uint8)
        image[:, self.column], mask[:, self.column] = 255, 255
        return image, mask


def values(degradation, count):
    return [int(degradation(BLACK, np.random.default_rng(s))[0, 0, 0]) for s in range(count)]


def test_one_of_applies_exactly_one_each_equally_likely():
    drawn = values(OneOf(of=[Digit(1), Digit(2), Digit(3)]), 600)
    assert set(drawn) == {1, 2, 3}
    assert all(140 < drawn.count(digit) < 260 for digit in (1, 2, 3))


def test_one_of_follows_its_weights():
    drawn = values(OneOf(of=[Digit(1), Digit(2), Digit(3)], weights=[3, 0, 1]), 400)
    assert set(drawn) == {1, 3}
    assert 260 < drawn.count(1) < 340


def test_one_of_hands_on_the_mask_of_the_chosen_one():
    image, mask = OneOf(of=[Hole(2)])(BLACK, np.random.default_rng(0))
    assert image[0, 2, 0] == 255
    np.testing.assert_array_equal(np.flatnonzero(mask[0]), [2])


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0], "weights has 1 for 2"), ([0.0, 0.0], "not all 0"), ([2.0, -1.0], "none below 0")],
)
def test_one_of_refuses_weights_that_do_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        OneOf(of=[Digit(1), Digit(2)], weights=weights)


def test_named_alternatives_stand_in_their_order_and_change_nothing_else():
    parts = [Digit(1), Hole(2)]
    named = OneOf(of=parts, weights=[1, 0], names=["noisy", "torn-off_2"])
    assert named.alternatives == {"noisy": parts[0], "torn-off_2": parts[1]}
    assert list(named.alternatives) == ["noisy", "torn-off_2"]
    assert set(values(named, 20)) == {1}
    assert OneOf(of=parts).alternatives == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["noisy"], "names has 1 for 2"),
        ([], "names has 0 for 2"),
        (["noisy", "noisy"], "twice"),
        (["noisy", "Noisy"], "twice"),
        (["noisy", "../noisy"], "'../noisy' has to be of letters"),
        (["noisy", ""], "'' has to be of letters"),
        (["noisy", "späť"], "has to be of letters"),
        (["noisy", "color\n"], "has to be of letters"),
    ],
)
def test_one_of_refuses_names_that_cannot_stand_in_file_names(names, message):
    with pytest.raises(ValueError, match=message):
        OneOf(of=[Digit(1), Digit(2)], names=names)


def test_in_random_order_applies_all_in_every_order():
    drawn = values(InRandomOrder(of=[Digit(0), Digit(1), Digit(2)]), 120)
    assert set(drawn) == {12, 21, 102, 120, 201, 210}


def test_in_random_order_joins_masks_and_needs_none():
    image, mask = InRandomOrder(of=[Hole(0), Digit(0), Hole(4)])(BLACK, np.random.default_rng(0))
    assert image.shape == BLACK.shape
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(np.flatnonzero(mask[0]), [0, 4])
    assert set(np.unique(mask)) == {0, 255}
    assert isinstance(InRandomOrder(of=[Digit(1)])(BLACK, np.random.default_rng(0)), np.ndarray)


def test_sometimes_applies_to_the_given_share():
    drawn = values(Sometimes(of=Digit(1), probability=0.25), 400)
    assert set(drawn) == {0, 1}
    assert 70 < drawn.count(1) < 130
    assert set(values(Sometimes(of=Digit(1), probability=0.0), 50)) == {0}
    assert set(values(Sometimes(of=Digit(1), probability=1.0), 50)) == {1}


def test_sometimes_keeps_the_order_of_its_list_and_joins_masks():
    assert set(values(Sometimes(of=[Digit(1), Digit(2)], probability=1.0), 20)) == {12}
    _, mask = Sometimes(of=[Hole(1), Hole(3)], probability=1.0)(BLACK, np.random.default_rng(0))
    np.testing.assert_array_equal(np.flatnonzero(mask[0]), [1, 3])


def test_sometimes_returns_a_copy_when_it_does_nothing():
    untouched = Sometimes(of=Digit(1), probability=0.0)(BLACK, np.random.default_rng(0))
    np.testing.assert_array_equal(untouched, BLACK)
    assert not np.shares_memory(untouched, BLACK)


def test_compositions_nest():
    nested = OneOf(of=[InRandomOrder(of=[Digit(1), Sometimes(of=Digit(2), probability=0.5)])])
    assert set(values(nested, 60)) == {1, 12, 21}
