import cv2
import numpy as np
import pytest

from frx.build import converter_for
from frx.registry import GROUPS
from frx.specs import Degradation
from frx.strict import Mistakes
from frx_degradations.shapes import Shapes


def covered(degradation, height, width, seeds):
    image = np.zeros((height, width, 3), np.uint8)
    return [degradation(image, np.random.default_rng(seed))[1] > 0 for seed in range(seeds)]


def pieces(mask):
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1  # without the background


def box(mask):
    rows, columns = np.nonzero(mask)
    return mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def touches_an_edge(mask):
    return mask[[0, -1]].any() or mask[:, [0, -1]].any()


def uncut(found):
    return [box(mask) for mask in found if not touches_an_edge(mask)]


def one(kind, size_share, **options):
    return Shapes(kinds=[kind], count=(1, 1), size_share=(size_share, size_share), **options)


@pytest.mark.parametrize("shape", [(90, 120), (64, 64), (7, 5), (1, 1)])
def test_mask_is_exactly_what_is_covered(shape):
    # No channel is 0 or 255, so that black and white change every pixel.
    image = np.random.default_rng(0).integers(1, 255, (*shape, 3), np.uint8)
    before = image.copy()
    for seed in range(20):
        damaged, mask = Shapes(fills=["black", "white"])(image, np.random.default_rng(seed))
        assert damaged.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.any()
        np.testing.assert_array_equal(mask > 0, (damaged != image).all(axis=2))
        np.testing.assert_array_equal(damaged[mask == 0], image[mask == 0])
    np.testing.assert_array_equal(image, before)


def test_noise_and_colours_leave_the_rest_of_the_picture_alone():
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    for seed in range(20):
        damaged, mask = Shapes(fills=["noise", "color"])(image, np.random.default_rng(seed))
        np.testing.assert_array_equal(damaged[mask == 0], image[mask == 0])
        assert (damaged[mask > 0] != image[mask > 0]).any(axis=1).mean() > 0.95


def test_pixels_that_keep_their_level_count_as_covered():
    black = np.zeros((64, 64, 3), np.uint8)
    damaged, mask = Shapes(fills=["black"])(black, np.random.default_rng(0))
    assert not damaged.any()
    assert mask.any()


@pytest.mark.parametrize("size_px", [1, 2, 5, 20, 21, 51])
def test_squares_are_square(size_px):
    whole = uncut(covered(one("square", size_px / 100), 100, 130, 20))
    assert len(whole) > 3
    for mask in whole:
        assert mask.shape == (size_px, size_px)
        assert mask.all()


@pytest.mark.parametrize("size_px", [4, 5, 20, 21, 50, 51])
def test_circles_are_round(size_px):
    whole = uncut(covered(one("circle", size_px / 100), 100, 130, 20))
    assert len(whole) > 3
    middle = (size_px - 1) / 2
    for mask in whole:
        assert mask.shape == (size_px, size_px)
        for transformed in (mask[::-1], mask[:, ::-1], mask.T):
            np.testing.assert_array_equal(mask, transformed)
        distances = np.hypot(*(np.indices(mask.shape) - middle))
        assert distances[mask].max() <= size_px / 2 < distances[~mask].min()
        assert mask.sum() == pytest.approx(np.pi / 4 * size_px**2, abs=size_px)


def test_circles_lie_between_those_of_opencv():
    # OpenCV's radius ends in the middle of a pixel: 25 and 26 there are to hold one of 25.5.
    def drawn(radius):
        return cv2.circle(np.zeros((53, 53), np.uint8), (26, 26), radius, 255, cv2.FILLED) > 0

    whole = uncut(covered(one("circle", 0.51), 100, 130, 20))
    assert len(whole) > 3
    for mask in whole:
        mask = np.pad(mask, 1)
        assert mask[drawn(25)].all()
        assert not mask[~drawn(26)].any()


def test_smallest_shape_is_a_pixel():
    for kind in ("square", "circle"):
        assert {mask.sum() for mask in covered(one(kind, 0), 20, 30, 50)} == {1}


def test_numbers_are_drawn_both_ends_included():
    degradation = Shapes(kinds=["square"], count=(0, 3), size_share=(0, 0))
    # Hardly ever do pixels out of 250,000 touch.
    numbers = [pieces(mask) for mask in covered(degradation, 500, 500, 200)]
    assert set(numbers) == {0, 1, 2, 3}
    assert min(numbers.count(number) for number in range(4)) > 30  # 50 expected


def test_picture_that_gets_no_shape_is_undamaged():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    damaged, mask = Shapes(count=(0, 0))(image, np.random.default_rng(0))
    np.testing.assert_array_equal(damaged, image)
    assert mask.shape == (40, 50)
    assert not mask.any()
    assert damaged is not image


@pytest.mark.parametrize("kind", ["square", "circle"])
def test_size_is_drawn_uniformly_from_its_range(kind):
    # Small on a large picture, so that few are cut.
    degradation = Shapes(kinds=[kind], count=(1, 1), size_share=(0.02, 0.06))
    whole = uncut(covered(degradation, 250, 300, 600))
    sizes = [max(mask.shape) for mask in whole]
    assert set(sizes) == set(range(5, 16))
    counts = [sizes.count(size) for size in range(6, 15)]  # the ends are half as frequent
    assert 0.5 * np.mean(counts) < min(counts)
    assert max(counts) < 1.5 * np.mean(counts)


def test_kinds_are_drawn_equally_often():
    degradation = Shapes(count=(1, 1), size_share=(0.2, 0.2))
    squares = [mask.all() for mask in uncut(covered(degradation, 50, 60, 400))]
    assert len(squares) > 200
    assert np.mean(squares) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("size_px", [10, 11])
def test_shapes_lie_everywhere_and_none_is_missed(size_px):
    found = covered(one("square", size_px / 40), 40, 60, 1500)
    assert all(mask.any() for mask in found)
    # Centres are in the picture: a quarter of a shape may be left of one at a corner.
    assert min(mask.sum() for mask in found) <= (size_px // 2 + 2) ** 2
    often = np.mean(found, axis=0)
    assert often[6:-6, 6:-6].mean() == pytest.approx(size_px**2 / (40 * 60), rel=0.1)
    for edge in (often[0], often[-1], often[:, 0], often[:, -1]):
        assert edge[6:-6].mean() == pytest.approx(size_px**2 / (40 * 60) / 2, rel=0.2)


def test_shapes_are_cut_off_at_the_edges():
    cut = [m for m in covered(one("circle", 0.4), 100, 100, 60) if touches_an_edge(m)]
    assert len(cut) > 10
    whole = uncut(covered(one("circle", 0.4), 100, 100, 60))[0]
    for mask in cut:
        # Nothing comes in on the other side, and what is left is a piece of the whole circle.
        assert pieces(mask) == 1
        assert max(box(mask).shape) <= 40
        found = cv2.matchTemplate(
            np.pad(whole, 40).astype(np.float32), box(mask).astype(np.float32), cv2.TM_SQDIFF
        )
        assert found.min() == pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("seed", range(6))
def test_damage_is_the_same_at_every_picture_size(seed):
    for kind in ("square", "circle"):
        degradation = Shapes(kinds=[kind], count=(3, 3))
        masks = [
            degradation(np.zeros((h, w, 3), np.uint8), np.random.default_rng(seed))[1]
            for h, w in ((512, 640), (128, 160))
        ]
        shrunk = cv2.resize(masks[0].astype(np.float32), (160, 128), interpolation=cv2.INTER_AREA)
        large, small = shrunk > 127, masks[1] > 0
        assert (large & small).sum() / (large | small).sum() > 0.85


def test_sizes_are_shares_of_the_shorter_side():
    for height, width in ((100, 300), (300, 100), (100, 100)):
        whole = uncut(covered(one("square", 0.3), height, width, 20))
        assert {mask.shape for mask in whole} == {(30, 30)}


def test_fills_leave_the_shapes_as_they_are():
    for seed in range(10):
        masks = [
            Shapes(fills=fills)(np.zeros((64, 64, 3), np.uint8), np.random.default_rng(seed))[1]
            for fills in (["black"], ["noise", "color"], ["white", "noise", "black"])
        ]
        np.testing.assert_array_equal(masks[0], masks[1])
        np.testing.assert_array_equal(masks[0], masks[2])


def levels(fills, seeds, size=64):
    """The covered pixels [n, 3] of one square a picture."""
    image = np.full((size, size, 3), 100, np.uint8)
    for seed in range(seeds):
        degradation = one("square", 0.25, fills=fills)
        damaged, mask = degradation(image, np.random.default_rng(seed))
        yield damaged[mask > 0]


def test_every_fill_of_the_list_is_drawn_equally_often_and_no_other():
    def drawn(fills):
        found = []
        for pixels in levels(fills, 300):
            colors = {tuple(pixel) for pixel in pixels.tolist()}
            named = {(0, 0, 0): "black", (255, 255, 255): "white"}
            found.append(named.get(colors.pop(), "color") if len(colors) == 1 else "noise")
        return found

    all_four = drawn(["black", "white", "noise", "color"])
    assert all(45 < all_four.count(f) < 105 for f in ("black", "white", "noise", "color"))
    for fills in (["black"], ["white"], ["noise"], ["color"], ["black", "color"]):
        assert set(drawn(fills)) == set(fills)


def test_noise_is_uniform_and_independent():
    noise = np.concatenate(list(levels(["noise"], 20, size=256))).astype(float)
    assert len(noise) > 50_000
    counts = np.bincount(noise.astype(int).ravel(), minlength=256)
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()
    for first, second in ((noise[1:], noise[:-1]), (noise[:, 0], noise[:, 1])):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


def test_each_shape_has_one_uniform_colour():
    colors = []
    for pixels in levels(["color"], 600, size=16):
        assert (pixels == pixels[0]).all()
        colors.append(pixels[0].astype(float))
    found = np.array(colors)
    assert (found.min(), found.max()) == (0, 255)
    np.testing.assert_allclose(found.mean(axis=0), 127.5, atol=10)
    np.testing.assert_allclose(found.std(axis=0), 256 / 12**0.5, atol=6)
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.15


def test_of_two_shapes_that_overlap_one_is_whole():
    degradation = Shapes(kinds=["square"], count=(2, 2), size_share=(0.5, 0.5), fills=["color"])
    image = np.zeros((40, 40, 3), np.uint8)
    overlapping = 0
    for seed in range(60):
        damaged, mask = degradation(image, np.random.default_rng(seed))
        areas = {
            color: box((damaged == color).all(axis=2) & (mask > 0))
            for color in {tuple(pixel) for pixel in damaged[mask > 0].tolist()}
        }
        assert any(area.all() for area in areas.values())
        overlapping += not all(area.all() for area in areas.values())
    assert overlapping > 10


def test_recipes_choose_kinds_and_fills():
    def read(**table):
        return converter_for(GROUPS).structure({"use": "shapes", **table}, Degradation)

    assert read().build() == Shapes()
    assert read(kinds=["circle"], count=[0, 2], fills=["color"]).build() == Shapes(
        kinds=["circle"], count=(0, 2), fills=["color"]
    )
    for wrong, message in (
        ({"kinds": []}, "needs at least 1"),
        ({"kinds": ["triangle"]}, "'triangle' is not a choice"),
        ({"fills": []}, "needs at least 1"),
        ({"fills": ["grey"]}, "'grey' is not a choice"),
        ({"count": [1, 2.5]}, "whole number"),
        ({"count": [3, 1]}, "low <= high"),
        ({"size_share": [0.1, 1.5]}, "high <= 1"),
    ):
        with pytest.raises(Mistakes, match=message):
            read(**wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": (3, 1)}, r"count is \(3, 1\); it has to hold 0 <= low <= high <= 1000"),
        ({"count": (-1, 1)}, "count is"),
        ({"count": (0, 1001)}, "count is"),
        ({"size_share": (0.3, 0.1)}, "size_share is"),
        ({"size_share": (-0.1, 0.1)}, "size_share is"),
        ({"size_share": (0.1, 1.1)}, r"size_share is \(0.1, 1.1\); .* <= 1$"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Shapes(**options)
