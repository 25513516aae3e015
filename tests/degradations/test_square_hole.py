import numpy as np
import pytest

from frx.build import converter_for
from frx.registry import GROUPS
from frx.specs import Degradation
from frx.strict import Mistakes
from frx_degradations.square_hole import SquareHole


def holes(degradation, height, width, seeds):
    """(top, left, height, width) of the mask's bounding box, for each seed."""
    image, found = np.zeros((height, width, 3), np.uint8), []
    for seed in range(seeds):
        _, mask = degradation(image, np.random.default_rng(seed))
        rows, columns = np.nonzero(mask)
        top, left = int(rows.min()), int(columns.min())
        found.append((top, left, int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
    return found


def test_mask_is_a_square_and_exactly_what_is_filled():
    image = np.random.default_rng(0).integers(0, 128, (200, 200, 3), dtype=np.uint8)
    damaged, mask = SquareHole()(image, np.random.default_rng(0))
    assert np.count_nonzero(mask) == 32 * 32
    assert set(np.unique(mask)) == {0, 255}
    np.testing.assert_array_equal(mask > 0, (damaged != image).all(axis=2))
    np.testing.assert_array_equal(damaged[mask > 0], 128)
    np.testing.assert_array_equal(damaged[mask == 0], image[mask == 0])


def test_corner_is_uniform_between_the_margins_both_ends_included():
    found = holes(SquareHole(size_px=32, margin_px=16), 70, 68, 1400)
    tops, lefts, heights, widths = (list(values) for values in zip(*found, strict=True))
    assert set(heights) == set(widths) == {32}
    assert set(tops) == set(range(16, 70 - 32 - 16 + 1))
    assert set(lefts) == set(range(16, 68 - 32 - 16 + 1))
    assert all(150 < tops.count(top) < 250 for top in set(tops))  # 200 expected
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.1


def test_size_is_drawn_from_its_range_both_ends_included():
    found = holes(SquareHole(size_px=(8, 12)), 100, 100, 200)
    assert {height for _, _, height, _ in found} == {8, 9, 10, 11, 12}
    assert all(height == width for _, _, height, width in found)


def test_holes_have_their_own_places_and_sizes():
    image = np.zeros((300, 300, 3), np.uint8)
    degradation = SquareHole(size_px=(10, 11), count=2)
    areas = {
        np.count_nonzero(degradation(image, np.random.default_rng(seed))[1]) for seed in range(60)
    }
    assert {2 * 10**2, 10**2 + 11**2, 2 * 11**2} <= areas


def test_margins_shrink_before_the_hole_does():
    found = holes(SquareHole(size_px=32, margin_px=16), 37, 53, 100)
    assert {hole[2:] for hole in found} == {(32, 32)}
    assert {hole[0] for hole in found} == {2, 3}  # 5 rows to spare
    assert {hole[1] for hole in found} == {10, 11}


@pytest.mark.parametrize(
    ("height", "width", "places"),
    [
        (32, 32, {(1, 1, 30, 30)}),
        (20, 23, {(1, 2, 18, 18), (1, 3, 18, 18)}),
        (3, 3, {(1, 1, 1, 1)}),
        (1, 1, {(0, 0, 1, 1)}),
    ],
)
def test_hole_too_large_for_the_picture_leaves_a_pixel_all_round(height, width, places):
    found = set(holes(SquareHole(size_px=32, margin_px=16), height, width, 60))
    assert found == places


def test_recipes_give_a_number_or_a_range():
    def read(**table):
        return converter_for(GROUPS).structure({"use": "square_hole", **table}, Degradation)

    assert read(size_px=24).build() == SquareHole(size_px=24)
    assert read(size_px=[24, 40], fill=0).build() == SquareHole(size_px=(24, 40), fill=0)
    for wrong, message in (
        ({"size_px": 0}, "at least 1"),
        ({"size_px": [40, 24]}, "low <= high"),
        ({"size_px": [1, 2, 3]}, "expected 2 values"),
        ({"size_px": 2.5}, "whole number"),
        ({"fill": 256}, "at most 255"),
    ):
        with pytest.raises(Mistakes, match=message):
            read(**wrong)


@pytest.mark.parametrize("size", [(40, 24), (0, 4), 0])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="size_px"):
        SquareHole(size_px=size)
