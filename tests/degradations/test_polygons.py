import cv2
import numpy as np
import pytest

from frx_degradations.polygons import Polygons


def masks(degradation, height, width, seeds):
    image = np.zeros((height, width, 3), np.uint8)
    return [degradation(image, np.random.default_rng(seed))[1] > 0 for seed in range(seeds)]


def uncut(found):
    return [m for m in found if not (m[[0, -1]].any() or m[:, [0, -1]].any())]


def outline(mask):
    (line,), _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return line


def test_mask_is_exactly_what_is_covered():
    image = np.random.default_rng(0).integers(1, 255, (90, 120, 3), dtype=np.uint8)
    for seed in range(10):
        degradation = Polygons(fills=["black", "white"])
        damaged, mask = degradation(image, np.random.default_rng(seed))
        assert set(np.unique(mask)) == {0, 255}
        np.testing.assert_array_equal(mask > 0, (damaged != image).all(axis=2))
        assert set(np.unique(damaged[mask > 0])) <= {0, 255}
        np.testing.assert_array_equal(damaged[mask == 0], image[mask == 0])


def test_every_fill_of_the_list_is_drawn_equally_often_and_no_other():
    image = np.full((64, 64, 3), 100, np.uint8)

    def kinds(fills):
        found = []
        for seed in range(300):
            degradation = Polygons(count=1, fills=fills)
            damaged, mask = degradation(image, np.random.default_rng(seed))
            levels = np.unique(damaged[mask > 0])
            found.append({(0,): "black", (255,): "white"}.get(tuple(levels), "noise"))
        return found

    drawn = kinds(["black", "white", "noise"])
    assert all(70 < drawn.count(fill) < 130 for fill in ("black", "white", "noise"))
    assert set(kinds(["white"])) == {"white"}
    assert set(kinds(["black", "noise"])) == {"black", "noise"}


def test_each_polygon_can_have_one_colour_of_its_own():
    image = np.zeros((64, 64, 3), np.uint8)
    colors = set()
    for seed in range(20):
        degradation = Polygons(count=1, fills=["color"])
        damaged, mask = degradation(image, np.random.default_rng(seed))
        (color,) = np.unique(damaged[mask > 0], axis=0)
        colors.add(tuple(color.tolist()))
    assert len(colors) == 20
    assert "color" not in Polygons().fills


def test_noise_is_uniform_and_independent():
    image = np.zeros((512, 512, 3), np.uint8)
    degradation = Polygons(count=30, fills=["noise"])
    damaged, mask = degradation(image, np.random.default_rng(0))
    noise = damaged[mask > 0].astype(float)
    assert len(noise) > 50_000
    counts = np.bincount(noise.astype(int).ravel(), minlength=256)
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()
    for one, other in ((noise[1:], noise[:-1]), (noise[:, 0], noise[:, 1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(("height", "width"), [(512, 512), (512, 700), (256, 200), (128, 128)])
def test_size_is_in_proportion_to_the_shorter_side(height, width):
    degradation = Polygons(count=1, across_px=(100, 100), at_size_px=512)
    whole = uncut(masks(degradation, height, width, 60))
    assert len(whole) > 10
    for mask in whole:
        # From the middle of the first pixel to that of the last, corners on whole pixels.
        across = max(np.ptp(positions) for positions in np.nonzero(mask))
        assert across == pytest.approx(100 * min(height, width) / 512, abs=1)


def test_size_is_drawn_uniformly_from_its_range():
    # Small on the picture, so that few are cut, and hardly more of the large ones.
    whole = uncut(masks(Polygons(count=1, at_size_px=2560), 640, 640, 250))
    across = [4 * max(np.ptp(positions) for positions in np.nonzero(mask)) for mask in whole]
    assert 76 <= min(across) < 88
    assert 192 < max(across) <= 204
    shares, _ = np.histogram(across, bins=4, range=(76, 204))
    assert shares.min() > 0.17 * len(across)


def test_polygons_have_six_to_ten_corners_and_ragged_outlines():
    whole = uncut(masks(Polygons(count=1, across_px=(500, 500), at_size_px=1000), 1000, 1000, 60))
    corners = [len(cv2.approxPolyDP(outline(mask), 4, closed=True)) for mask in whole]
    assert max(corners) == 10
    assert min(corners) >= 5  # one that lies on the line between its neighbours is not seen
    hulls = [cv2.contourArea(cv2.convexHull(outline(mask))) / mask.sum() for mask in whole]
    assert np.mean(np.array(hulls) > 1.05) > 0.3  # dented
    for mask in uncut(masks(Polygons(count=1, vertices=(3, 3)), 512, 512, 20)):
        assert len(cv2.approxPolyDP(outline(mask), 3, closed=True)) == 3


def test_polygons_lie_everywhere_and_none_is_missed():
    found = masks(Polygons(count=1), 48, 64, 600)
    assert all(mask.any() for mask in found)
    often = np.sum(found, axis=0)
    assert often.min() > 0
    for half in (often[:24], often[:, :32], often[12:36, 16:48]):
        assert half.mean() == pytest.approx(often.mean(), rel=0.25)


def test_count_polygons_are_laid_over_one_another():
    small = {"across_px": (20, 20), "at_size_px": 512, "fills": ["white"]}
    found = masks(Polygons(count=3, **small), 512, 512, 20)
    pieces = [cv2.connectedComponents(mask.astype(np.uint8))[0] - 1 for mask in found]
    assert max(pieces) == 3
    assert pieces.count(3) > 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vertices": (2, 6)}, "vertices is"),
        ({"vertices": (8, 6)}, "vertices is"),
        ({"across_px": (200, 80)}, "across_px is"),
        ({"across_px": (0, 80)}, "across_px is"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Polygons(**options)
