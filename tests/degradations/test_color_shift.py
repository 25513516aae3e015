import colorsys

import cv2
import numpy as np
import pytest

from frx_degradations.color_shift import ColorShift

FACTORS = [(0.3, 0.6), (0.5, 1.0), (0.7, 1.2), (0.5, 3.0), (1.0, 1.2), (1.4, 0.8), (2.5, 1.5)]
ALL_KINDS_OF_COLOURS = np.concatenate(
    [
        np.random.default_rng(0).integers(0, 256, (90, 128, 3), dtype=np.uint8),
        np.random.default_rng(1).integers(0, 6, (19, 128, 3), dtype=np.uint8),
        np.random.default_rng(2).choice(np.array([0, 1, 128, 254, 255], np.uint8), (19, 128, 3)),
    ]
)


def shifted(image, saturation, value):
    degradation = ColorShift(saturation=(saturation, saturation), value=(value, value))
    return degradation(image, np.random.default_rng(0))


@pytest.mark.parametrize(("saturation", "value"), FACTORS)
def test_equals_opencv_through_floating_point_hsv(saturation, value):
    hsv = cv2.cvtColor(ALL_KINDS_OF_COLOURS.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.minimum(hsv[..., 1] * saturation, 1)
    hsv[..., 2] = np.minimum(hsv[..., 2] * value, 1)
    reference = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    result = shifted(ALL_KINDS_OF_COLOURS, saturation, value)
    assert np.abs(result - reference).max() <= 0.51  # rounded once, to the nearest level


@pytest.mark.parametrize(("saturation", "value"), FACTORS)
def test_equals_the_standard_library_colour_by_colour(saturation, value):
    colours = ALL_KINDS_OF_COLOURS[::16, ::8]
    reference = np.empty(colours.shape)
    for place in np.ndindex(colours.shape[:2]):
        hue, s, v = colorsys.rgb_to_hsv(*(float(level) / 255 for level in colours[place]))
        rgb = colorsys.hsv_to_rgb(hue, min(s * saturation, 1), min(v * value, 1))
        reference[place] = 255 * np.array(rgb)
    assert np.abs(shifted(colours, saturation, value) - reference).max() <= 0.51


def test_known_colours():
    colours = np.array([[[200, 100, 50], [0, 0, 0], [255, 255, 255], [80, 80, 80]]], np.uint8)
    np.testing.assert_array_equal(shifted(colours, 1, 1), colours)
    grey = np.repeat(colours.max(axis=2, keepdims=True), 3, axis=2)
    np.testing.assert_array_equal(shifted(colours, 0, 1), grey)
    np.testing.assert_array_equal(shifted(colours, 0.5, 0.5)[0, 0], [100, 75, 62])
    # Saturation ends at 1, where the least channel is 0, and value at 1, the brightest level.
    np.testing.assert_array_equal(
        shifted(colours, 9, 9)[0], [[255, 85, 0], [0] * 3, [255] * 3, [255] * 3]
    )


def test_factors_are_drawn_uniformly_and_apart():
    colour = np.full((1, 1, 3), (200, 0, 0), np.uint8)
    drawn = [ColorShift()(colour, np.random.default_rng(seed))[0, 0] for seed in range(400)]
    values = np.array([largest / 200 for largest, _, _ in drawn])
    saturations = np.array([1 - least / largest for largest, least, _ in drawn])
    for factors, low, high in ((saturations, 0.3, 0.7), (values, 0.6, 1.2)):
        assert low - 0.01 < factors.min() < low + 0.02
        assert high - 0.02 < factors.max() < high + 0.01
        assert factors.mean() == pytest.approx((low + high) / 2, abs=0.03)
    assert abs(np.corrcoef(saturations, values)[0, 1]) < 0.15


@pytest.mark.parametrize("option", ["saturation", "value"])
@pytest.mark.parametrize("ends", [(0.7, 0.3), (-0.1, 0.5)])
def test_impossible_range_is_refused(option, ends):
    with pytest.raises(ValueError, match=f"{option} is"):
        ColorShift(**{option: ends})
