import numpy as np
import pytest

from frx_degradations.gaussian_noise import GaussianNoise, normal_quantiles


def test_noise_has_mean_zero_and_the_given_deviation():
    grey = np.full((512, 512, 3), 128, np.uint8)
    sigma = 25 / 255
    noise = GaussianNoise(sigma=(sigma, sigma))(grey, np.random.default_rng(1)).astype(int) - 128
    # 786,432 values: the mean is known to 0.03, the deviation (rounding adds 1/12) to 0.02.
    assert abs(noise.mean()) < 0.15
    assert noise.std() == pytest.approx(np.sqrt(25**2 + 1 / 12), abs=0.1)
    assert np.mean(noise**4) / np.mean(noise**2) ** 2 == pytest.approx(3, abs=0.05)


def test_quantiles_have_variance_one():
    quantiles = normal_quantiles().astype(np.float64)
    assert len(quantiles) == 65536
    assert np.mean(quantiles**2) == pytest.approx(1, abs=1e-6)
    assert np.mean(quantiles < 1) == pytest.approx(0.6827, abs=1e-4)
    assert quantiles.max() == pytest.approx(4.325, abs=1e-2)


def test_pixels_and_channels_are_independent():
    noise = GaussianNoise(sigma=(0.1, 0.1))(
        np.full((256, 256, 3), 128, np.uint8), np.random.default_rng(2)
    ).astype(float)
    pairs = [
        (noise[1:], noise[:-1]),
        (noise[:, 1:], noise[:, :-1]),
        (noise[..., 0], noise[..., 1]),
        (noise[..., 1], noise[..., 2]),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


def test_sums_are_clipped_not_wrapped():
    rng = np.random.default_rng(3)
    noise = GaussianNoise(sigma=(0.5, 0.5))
    white = noise(np.full((64, 64, 3), 255, np.uint8), rng)
    black = noise(np.zeros((64, 64, 3), np.uint8), rng)
    # Half of the noise points outwards and stops at the end of the range.
    assert np.mean(white == 255) == pytest.approx(0.5, abs=0.02)
    assert np.mean(black == 0) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1, 3), (33, 57, 3), (1, 21846, 3)])
def test_equals_an_addition_in_whole_numbers(shape):
    image = np.random.default_rng(6).integers(0, 256, shape, dtype=np.uint8)
    noisy = GaussianNoise(sigma=(0.2, 0.2))(image, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    sizes = np.rint(normal_quantiles().astype(np.float64) * 255 * rng.uniform(0.2, 0.2))
    words = np.random.SFC64(int(rng.bit_generator.random_raw())).random_raw(image.size // 4 + 1)
    drawn = words.view(np.uint16)[: image.size].reshape(shape)
    noise = np.where(drawn < 32768, sizes[drawn], -sizes[drawn])
    np.testing.assert_array_equal(noisy, np.clip(image + noise, 0, 255))


def test_deviation_is_drawn_uniformly_from_the_range():
    grey = np.full((32, 32, 3), 128, np.uint8)
    degradation = GaussianNoise(sigma=(0.02, 0.1))
    deviations = [degradation(grey, np.random.default_rng(seed)).std() / 255 for seed in range(300)]
    assert 0.018 < min(deviations) < 0.025
    assert 0.095 < max(deviations) < 0.105
    assert np.mean(deviations) == pytest.approx(0.06, abs=0.005)


def test_zero_noise_changes_nothing():
    image = np.random.default_rng(4).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    noisy = GaussianNoise(sigma=(0, 0))(image, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy, image)
    assert not np.shares_memory(noisy, image)


@pytest.mark.parametrize(
    "bit_generator", [np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.MT19937]
)
def test_every_bit_generator_gives_full_words(bit_generator):
    rng = np.random.Generator(bit_generator(5))
    noisy = GaussianNoise(sigma=(0.1, 0.1))(np.full((128, 128, 3), 128, np.uint8), rng)
    assert noisy.std() == pytest.approx(25.5, abs=0.5)


@pytest.mark.parametrize("sigma", [(0.5, 0.2), (-0.1, 0.2), (0.2, 1.5)])
def test_impossible_range_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma"):
        GaussianNoise(sigma=sigma)
