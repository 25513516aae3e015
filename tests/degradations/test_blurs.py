"""Gaussian and median blur, beside their definitions."""

import cv2
import numpy as np
import pytest

from frx_degradations.gaussian_blur import GaussianBlur
from frx_degradations.median_blur import MedianBlur


def gaussian_mean(image, sigma, reach):
    """The weighted mean as its definition says, float64, one axis after the other."""
    weights = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    weights /= weights.sum()
    for axis in (0, 1):
        pads = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(image.astype(float), pads, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis)
        image = windows @ weights
    return image


@pytest.mark.parametrize("sigma", [0.4, 1, 3, 8])
def test_gaussian_blur_equals_its_definition(sigma):
    image = np.random.default_rng(1).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    blurred = GaussianBlur(sigma_px=(sigma, sigma))(image, np.random.default_rng(0))
    reach = int(np.ceil(3 * sigma))
    # OpenCV rounds weights to 1/256.
    assert np.abs(blurred - gaussian_mean(image, sigma, reach)).max() <= 2


@pytest.mark.parametrize("sigma", [0.1, 0.32, 1.7, 2, 2.9, 5.1, 26, 100])
def test_gaussian_blur_equals_opencv_and_keeps_brightness(sigma):
    image = np.random.default_rng(2).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    blur = GaussianBlur(sigma_px=(sigma, sigma))
    size = 2 * int(np.ceil(3 * sigma)) + 1
    by_opencv = cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REFLECT_101)
    blurred = blur(image, np.random.default_rng(0))
    assert np.abs(blurred.astype(int) - by_opencv).max() <= 1
    assert np.mean(blurred != by_opencv) < 0.001
    for level in (0, 77, 255):
        even = np.full_like(image, level)
        np.testing.assert_array_equal(blur(even, np.random.default_rng(0)), even)


def test_gaussian_deviation_is_drawn_from_the_range_and_none_changes_nothing():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    peaks = [
        int(GaussianBlur(sigma_px=(0.5, 2))(image, np.random.default_rng(seed)).max())
        for seed in range(200)
    ]
    # The middle of the bell is 1 / 2πσ².
    assert 255 / (2 * np.pi * 2**2) - 1 < min(peaks) < 15
    assert 120 < max(peaks) < 255 / (2 * np.pi * 0.5**2)
    same = GaussianBlur(sigma_px=(0, 0))(image, np.random.default_rng(0))
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


@pytest.mark.parametrize("size", [3, 5, 7, 15])
def test_median_blur_equals_its_definition(size):
    image = np.random.default_rng(size).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    blurred = MedianBlur(size_px=(size, size))(image, np.random.default_rng(0))
    reach = size // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    np.testing.assert_array_equal(blurred, np.median(windows, axis=(-2, -1)).astype(np.uint8))


def test_median_sizes_are_all_drawn_and_only_odd_ones():
    image = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    each = {
        size: MedianBlur(size_px=(size, size))(image, np.random.default_rng(0)).tobytes()
        for size in (3, 5, 7)
    }
    drawn = {
        MedianBlur(size_px=(2 + 1, 8))(image, np.random.default_rng(s)).tobytes() for s in range(40)
    }
    assert drawn == set(each.values())


@pytest.mark.parametrize("ends", [(4, 4), (9, 5), (1, 5), (3, 257)])
def test_impossible_sizes_are_refused(ends):
    with pytest.raises(ValueError, match="size_px"):
        MedianBlur(size_px=ends)


@pytest.mark.parametrize("sigma", [(2, 1), (-1, 1)])
def test_impossible_deviations_are_refused(sigma):
    with pytest.raises(ValueError, match="sigma_px"):
        GaussianBlur(sigma_px=sigma)


def test_at_size_px_keeps_the_share_of_the_picture():
    small = np.random.default_rng(1).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    for scaled, plain in (
        (GaussianBlur(sigma_px=(8, 8), at_size_px=512), GaussianBlur(sigma_px=(1, 1))),
        (GaussianBlur(sigma_px=(8, 8), at_size_px=32), GaussianBlur(sigma_px=(16, 16))),
        (MedianBlur(size_px=(9, 9), at_size_px=192), MedianBlur(size_px=(3, 3))),
        (MedianBlur(size_px=(199, 199), at_size_px=32), MedianBlur(size_px=(255, 255))),
    ):
        ours, theirs = (blur(small, np.random.default_rng(2)) for blur in (scaled, plain))
        np.testing.assert_array_equal(ours, theirs)
    same = MedianBlur(size_px=(5, 5), at_size_px=512)(small, np.random.default_rng(2))
    np.testing.assert_array_equal(same, small)
