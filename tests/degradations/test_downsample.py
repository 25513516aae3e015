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
    result = Downsample(factors=[factor])(image, np.random.default_rng(0))
    reference = bilinear(bilinear(image.astype(float), *small), 30, 40)
    assert result.shape == image.shape
    assert np.abs(result - reference).max() <= 2  # rounded twice, OpenCV's weights have 11 bits


def test_every_factor_is_drawn():
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    alone = [Downsample(factors=[f])(image, np.random.default_rng(0)).tobytes() for f in (1.2, 1.4)]
    drawn = [Downsample()(image, np.random.default_rng(s)).tobytes() for s in range(40)]
    assert set(drawn) == set(alone)
    assert 10 <= drawn.count(alone[0]) <= 30


def test_larger_factor_loses_more():
    rows, columns = np.mgrid[:64, :64]
    wave = 127.5 + 100 * np.sin(rows / 3) * np.cos(columns / 4)
    image = np.repeat(np.rint(wave).astype(np.uint8)[..., None], 3, axis=2)
    errors = [
        np.square(
            Downsample(factors=[factor])(image, np.random.default_rng(0)).astype(float) - image
        ).mean()
        for factor in (1.0, 1.2, 1.4, 2.0, 4.0)
    ]
    assert errors[0] == 0
    assert errors == sorted(set(errors))


def test_one_pixel_survives():
    image = np.array([[[1, 2, 3]]], np.uint8)
    result = Downsample(factors=[8.0])(image, np.random.default_rng(0))
    np.testing.assert_array_equal(result, image)
