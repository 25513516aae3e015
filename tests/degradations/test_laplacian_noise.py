import numpy as np
import pytest

from frx_degradations.laplacian_noise import LaplacianNoise, laplacian_quantiles


def test_noise_has_the_density_of_laplace():
    grey = np.full((512, 512, 3), 128, np.uint8)
    b = 10
    noisy = LaplacianNoise(scale=(b / 255, b / 255))(grey, np.random.default_rng(1))
    noise = noisy.astype(int) - 128
    assert abs(noise.mean()) < 0.1
    assert noise.std() == pytest.approx(np.sqrt(2 * b**2 + 1 / 12), abs=0.1)
    # exp(−t / b) of the values are further than t from 0; rounding moves the limit by half a level.
    for t in (5, 10, 20, 40):
        assert np.mean(np.abs(noise) > t) == pytest.approx(np.exp(-(t + 0.5) / b), abs=0.002)


def test_quantiles_have_variance_two_and_heavy_tails():
    quantiles = laplacian_quantiles().astype(np.float64)
    assert len(quantiles) == 65536
    assert np.mean(quantiles**2) == pytest.approx(2, abs=1e-5)
    assert np.mean(quantiles**4) / np.mean(quantiles**2) ** 2 == pytest.approx(6, abs=0.05)


def test_sums_are_clipped_not_wrapped():
    noise, rng = LaplacianNoise(scale=(1, 1)), np.random.default_rng(3)
    for level in (0, 255):
        noisy = noise(np.full((64, 64, 3), level, np.uint8), rng)
        assert np.mean(noisy == level) == pytest.approx(0.5, abs=0.02)
        # Of the other half exp(−1) goes beyond the far end of the range.
        assert np.mean(noisy == 255 - level) == pytest.approx(0.5 * np.exp(-1), abs=0.02)


def test_scale_is_drawn_uniformly_from_the_range():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = LaplacianNoise(scale=(0.02, 0.06))
    scales = [
        np.abs(noise(grey, np.random.default_rng(seed)).astype(int) - 128).mean() / 255
        for seed in range(300)
    ]
    assert 0.018 < min(scales) < 0.023
    assert 0.057 < max(scales) < 0.063
    assert np.mean(scales) == pytest.approx(0.04, abs=0.003)


@pytest.mark.parametrize("scale", [(0.5, 0.2), (-0.1, 0.2), (0.2, 1.5)])
def test_impossible_range_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        LaplacianNoise(scale=scale)
