import numpy as np
import pytest

from frx_degradations.downsample import Downsample


def bilinear(image, height, width):
    """Bilinear resizing about pixel centres, without filtering first, in float64."""

    def samples(size, new):
        at = np.clip((np.arange(new) + 0.5) * size / new - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, size - 1), at - low

    top, bottom, down = samples(image.shape[0], height)
    left, right, across = samples(image.shape[1], width)
    rows = image[top] * (1 - down)[:, None, None] + image[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None]


@pytest.mark.parametrize(("factor", "small"), [(1.2, (25, 33)), (1.4, (21, 29)), (2.5, (12, 16))])
def test_equals_bilinear_there_and_back(factor, small):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    result = Downsample(scale=(1 / factor, 1 / factor))(image, np.random.default_rng(0))
    reference = bilinear(bilinear(image.astype(float), *small), 30, 40)
    assert result.shape == image.shape
    assert np.abs(result - reference).max() <= 2  # rounded twice, OpenCV's weights have 11 bits


def test_scales_are_drawn_from_the_whole_range():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    # 20 pixels leave 5, 6, 7 or 8; the ends have half the share of the range that the others have.
    each = {
        n: Downsample(scale=(n / 20, n / 20))(image, np.random.default_rng(0)).tobytes()
        for n in (5, 6, 7, 8)
    }
    degradation = Downsample(scale=(0.25, 0.4))
    drawn = [degradation(image, np.random.default_rng(s)).tobytes() for s in range(300)]
    assert set(drawn) == set(each.values())
    assert drawn.count(each[6]) == pytest.approx(100, abs=30)
    assert drawn.count(each[5]) == pytest.approx(50, abs=25)


def test_area_averages_blocks_and_nearest_repeats_pixels():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    half = (0.5, 0.5)
    area = Downsample(scale=half, interpolation="area")(image, np.random.default_rng(0))
    blocks = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(area.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3)) - blocks).max() <= 1
    nearest = Downsample(scale=half, interpolation="nearest")(image, np.random.default_rng(0))
    np.testing.assert_array_equal(nearest, image[::2, ::2].repeat(2, 0).repeat(2, 1))


def test_cubic_overshoots_at_an_edge_and_bilinear_does_not():
    image = np.full((32, 32, 3), 50, np.uint8)
    image[:, 16:] = 200
    levels = {
        way: Downsample(scale=(0.25, 0.25), interpolation=way)(image, np.random.default_rng(0))
        for way in ("bilinear", "cubic")
    }
    assert (levels["bilinear"].min(), levels["bilinear"].max()) == (50, 200)
    assert levels["cubic"].min() < 45
    assert levels["cubic"].max() > 205


def test_larger_factor_loses_more():
    rows, columns = np.mgrid[:64, :64]
    wave = 127.5 + 100 * np.sin(rows / 3) * np.cos(columns / 4)
    image = np.repeat(np.rint(wave).astype(np.uint8)[..., None], 3, axis=2)
    errors = [
        np.square(
            Downsample(scale=(1 / factor, 1 / factor))(image, np.random.default_rng(0)).astype(
                float
            )
            - image
        ).mean()
        for factor in (1.0, 1.2, 1.4, 2.0, 4.0)
    ]
    assert errors[0] == 0
    assert errors == sorted(set(errors))


def test_one_pixel_survives():
    image = np.array([[[1, 2, 3]]], np.uint8)
    result = Downsample(scale=(0.125, 0.125))(image, np.random.default_rng(0))
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("scale", [(0.5, 0.2), (0, 0.5), (0.5, 1.5)])
def test_impossible_range_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        Downsample(scale=scale)
