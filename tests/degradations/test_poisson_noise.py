import numpy as np
import pytest

from frx_degradations.poisson_noise import PoissonNoise, poisson_quantiles


@pytest.mark.parametrize("rate", [0.5, 15, 22.3, 30])
def test_each_value_moves_by_a_poisson_count_up_or_down(rate):
    grey = np.full((512, 512, 3), 128, np.uint8)
    noise = PoissonNoise(rate=(rate, rate))(grey, np.random.default_rng(1)).astype(int) - 128
    counts, expected = np.abs(noise), np.random.default_rng(2).poisson(rate, noise.size)
    assert counts.mean() == pytest.approx(rate, abs=0.03)
    assert counts.var() == pytest.approx(rate, rel=0.01)
    shares = [np.bincount(c.ravel(), minlength=100) / noise.size for c in (counts, expected)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.002)
    assert np.mean(noise > 0) == pytest.approx(np.mean(noise < 0), abs=0.005)


@pytest.mark.parametrize("rate", [0, 1e-3, 1, 100, 255])
def test_quantiles_are_as_many_as_asked_for_with_mean_and_variance_of_the_rate(rate):
    counts = poisson_quantiles(rate)
    assert len(counts) == 32768
    assert counts.mean() == pytest.approx(rate, rel=0.01, abs=1e-4)
    assert counts.var() == pytest.approx(rate, rel=0.03, abs=1e-4)


def test_sums_are_clipped_not_wrapped():
    noise, rng = PoissonNoise(rate=(30, 30)), np.random.default_rng(3)
    assert np.mean(noise(np.full((64, 64, 3), 255, np.uint8), rng) == 255) > 0.49
    assert np.mean(noise(np.zeros((64, 64, 3), np.uint8), rng) == 0) > 0.49


def test_no_rate_changes_nothing():
    image = np.random.default_rng(4).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(PoissonNoise(rate=(0, 0))(image, np.random.default_rng(0)), image)


@pytest.mark.parametrize("rate", [(20, 10), (-1, 5), (5, 300)])
def test_impossible_range_is_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        PoissonNoise(rate=rate)
