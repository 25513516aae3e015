import cv2
import numpy as np
import pytest

from frx_degradations.brush_hole import BrushHole


def painted(degradation, height, width, seed):
    """Where a black picture is painted."""
    _, mask = degradation(np.zeros((height, width, 3), np.uint8), np.random.default_rng(seed))
    return mask > 0


def touches_an_edge(mask):
    return mask[[0, -1]].any() or mask[:, [0, -1]].any()


def inside(degradation, size, count):
    """The first masks that end before the picture does."""
    masks = (painted(degradation, size, size, seed) for seed in range(500))
    clear = (mask for mask in masks if not touches_an_edge(mask))
    return [next(clear) for _ in range(count)]


def test_mask_is_exactly_what_is_painted():
    image = np.random.default_rng(0).integers(0, 90, (80, 120, 3), dtype=np.uint8)
    for seed in range(10):
        damaged, mask = BrushHole(fill=90)(image, np.random.default_rng(seed))
        assert mask.any()
        assert set(np.unique(mask)) == {0, 255}
        np.testing.assert_array_equal(mask > 0, (damaged != image).all(axis=2))
        np.testing.assert_array_equal(damaged[mask > 0], 90)
        np.testing.assert_array_equal(damaged[mask == 0], image[mask == 0])


def test_every_stroke_is_in_one_piece():
    for seed in range(20):
        mask = painted(BrushHole(strokes=(1, 1)), 100, 140, seed)
        assert cv2.connectedComponents(mask.astype(np.uint8))[0] == 2  # with the background


@pytest.mark.parametrize("max_share", [0.05, 0.3, 0.9])
def test_no_picture_loses_more_than_the_greatest_share(max_share):
    degradation = BrushHole(strokes=(80, 80), max_share=max_share)
    shares = [painted(degradation, 64, 48, seed).mean() for seed in range(15)]
    assert max(shares) <= max_share
    assert min(shares) > 0.8 * max_share - 0.04  # a piece has up to 0.06


@pytest.mark.parametrize("seed", range(6))
def test_damage_is_the_same_at_every_picture_size(seed):
    degradation = BrushHole(max_share=1.0)
    large = painted(degradation, 512, 640, seed)
    small = painted(degradation, 128, 160, seed)
    shrunk = cv2.resize(large.astype(np.float32), (160, 128), interpolation=cv2.INTER_AREA) > 0.5
    assert (small & shrunk).sum() / (small | shrunk).sum() > 0.85


def test_dab_is_a_disc_as_wide_as_the_brush():
    dab = BrushHole(strokes=(1, 1), vertices=(1, 1), width_share=(0.1, 0.1))
    for mask in inside(dab, 210, 10):
        rows, columns = np.nonzero(mask)
        assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 21
        assert mask.sum() == pytest.approx(np.pi / 4 * 21**2, rel=0.1)


@pytest.mark.parametrize(("width_share", "width_px"), [(0.001, 1), (0.02, 3), (0.05, 5)])
def test_brush_is_the_nearest_odd_number_of_pixels_wide(width_share, width_px):
    dab = BrushHole(strokes=(1, 1), vertices=(1, 1), width_share=(width_share, width_share))
    for mask in inside(dab, 110, 5):
        assert mask.any(axis=0).sum() == mask.any(axis=1).sum() == width_px


# Five pieces of 20 px: straight on, as stairs (3 pieces one way, 2 across), to and fro.
@pytest.mark.parametrize(("turn_deg", "reach"), [(0, 100), (90, 20 * 13**0.5), (180, 20)])
def test_strokes_turn_to_the_left_and_right_in_turn(turn_deg, reach):
    degradation = BrushHole(
        strokes=(1, 1),
        vertices=(6, 6),
        length_share=(0.05, 0.05),
        width_share=(0, 0),
        turn_deg=(turn_deg, turn_deg),
    )
    for mask in inside(degradation, 400, 5):
        points = np.argwhere(mask).astype(float)
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        assert distances.max() == pytest.approx(reach, abs=2)


def test_number_of_strokes_is_drawn_both_ends_included():
    degradation = BrushHole(strokes=(1, 3), vertices=(1, 1), width_share=(0, 0))
    numbers = [painted(degradation, 500, 500, seed).sum() for seed in range(60)]
    assert set(numbers) == {1, 2, 3}


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (7, 5)])
def test_smallest_pictures_keep_their_share_too(shape):
    for seed in range(30):
        assert painted(BrushHole(), *shape, seed).mean() <= 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strokes": (0, 2)}, "strokes is"),
        ({"vertices": (5, 3)}, "vertices is"),
        ({"length_share": (-0.1, 0.2)}, "length_share is"),
        ({"width_share": (0.1, 1.2)}, "width_share is"),
        ({"turn_deg": (90, 400)}, "turn_deg is"),
        ({"width_share": (0.1, 0.5), "max_share": 0.2}, "a single dab"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BrushHole(**options)
