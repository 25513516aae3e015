import cv2
import numpy as np
import pytest

from frx_degradations.motion_blur import MotionBlur, slanted_line

STEPS = {"horizontal": (0, 1), "vertical": (1, 0), "diagonal": (1, 1), "antidiagonal": (-1, 1)}


def convolved(image, length, direction):
    """The line convolution as its definition says, float64, border reflected."""
    reach = length // 2
    height, width = image.shape[:2]
    padded = np.pad(image.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    down, right = STEPS[direction]
    total = np.zeros(image.shape)
    for step in range(-reach, reach + 1):
        top, left = reach + step * down, reach + step * right
        total += padded[top : top + height, left : left + width]
    return total / length


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize("length", [3, 5, 9, 13, 15, 31])
@pytest.mark.parametrize("shape", [(40, 40), (33, 57), (57, 33)])
def test_equals_the_convolution(direction, length, shape):
    image = np.random.default_rng(length).integers(0, 256, (*shape, 3), dtype=np.uint8)
    blur = MotionBlur(length_px=(length, length), directions=[direction])
    result = blur(image, np.random.default_rng(0))
    assert np.abs(result - convolved(image, length, direction)).max() <= 1


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (3, 2), (8, 8)])
def test_image_smaller_than_the_line(direction, shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    blur = MotionBlur(length_px=(15, 15), directions=[direction])
    result = blur(image, np.random.default_rng(0))
    assert np.abs(result - convolved(image, 15, direction)).max() <= 1


@pytest.mark.parametrize("direction", STEPS)
def test_point_becomes_a_line_of_the_same_total(direction):
    image = np.zeros((31, 31, 3), np.uint8)
    image[15, 15] = 250
    result = MotionBlur(length_px=(5, 5), directions=[direction])(image, np.random.default_rng(0))
    down, right = STEPS[direction]
    line = np.zeros_like(image)
    for step in range(-2, 3):
        line[15 + step * down, 15 + step * right] = 50
    np.testing.assert_array_equal(result, line)


def test_lengths_and_directions_are_all_drawn_and_only_odd_ones():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    seen = set()
    for seed in range(800):
        lit = np.argwhere(MotionBlur()(image, np.random.default_rng(seed))[..., 0])
        span = tuple(int(v) for v in np.sign(lit[-1] - lit[0]))
        seen.add((len(lit), span))
    assert {length for length, _ in seen} == {5, 7, 9, 11, 13, 15}
    assert {span for _, span in seen} == {(0, 1), (1, 0), (1, 1), (1, -1)}
    assert len(seen) == 24


@pytest.mark.parametrize(("ends", "drawn"), [((4, 8), {5, 7}), ((5, 6), {5}), ((3, 4), {3})])
def test_even_ends_of_the_range_are_not_drawn(ends, drawn):
    image = np.zeros((1, 41, 3), np.uint8)
    image[0, 20] = 255
    blur = MotionBlur(length_px=ends, directions=["horizontal"])
    lengths = {np.count_nonzero(blur(image, np.random.default_rng(s))[..., 0]) for s in range(50)}
    assert lengths == drawn


@pytest.mark.parametrize("ends", [(4, 4), (9, 5), (1, 5), (-3, 3)])
def test_range_without_an_odd_length_is_refused(ends):
    with pytest.raises(ValueError, match="length_px"):
        MotionBlur(length_px=ends)


def test_long_lines_are_summed_without_overflow():
    image = np.full((40, 50, 3), 255, np.uint8)
    for direction in STEPS:
        for length in (255, 257, 259, 301):
            blur = MotionBlur(length_px=(length, length), directions=[direction])
            np.testing.assert_array_equal(blur(image, np.random.default_rng(0)), image)


@pytest.mark.parametrize("length", [3, 11, 13, 15, 31, 131])
def test_any_direction_equals_the_convolution(length):
    image = np.random.default_rng(length).integers(0, 256, (37, 52, 3), dtype=np.uint8)
    for seed in range(3):
        blur = MotionBlur(length_px=(length, length), directions="any")
        blurred = blur(image, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        rng.random()  # the length
        weights = slanted_line(length, np.pi * rng.random())
        reference = np.zeros(image.shape)
        reach = length // 2
        padded = np.pad(image.astype(float), ((reach, reach), (reach, reach), (0, 0)), "reflect")
        for y, x in np.argwhere(weights):
            reference += weights[y, x] * padded[y : y + 37, x : x + 52]
        assert np.abs(blurred - reference).max() <= 0.51


@pytest.mark.parametrize("length", [3, 11, 19])
@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 137, 179])
def test_a_slanted_line_is_as_long_at_every_angle_and_thin(length, degrees):
    weights = slanted_line(length, np.radians(degrees)).astype(float)
    assert weights.shape == (length, length)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    up, right = np.mgrid[length // 2 : -(length // 2) - 1 : -1, -(length // 2) : length // 2 + 1]
    along = right * np.cos(np.radians(degrees)) + up * np.sin(np.radians(degrees))
    across = up * np.cos(np.radians(degrees)) - right * np.sin(np.radians(degrees))
    # The variance of points one apart, plus at most a quarter of a pixel each way by sharing out.
    assert 0 <= (weights * along**2).sum() - (length**2 - 1) / 12 < 0.26
    assert (weights * across**2).sum() < 0.26


def test_any_direction_draws_every_angle_alike():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    blur = MotionBlur(length_px=(19, 19), directions="any")
    angles = []
    for seed in range(600):
        lit = blur(image, np.random.default_rng(seed))[..., 0].astype(float)
        assert lit.sum() == pytest.approx(255, rel=0.25)  # each of many small levels is rounded
        y, x = np.mgrid[-20:21, -20:21]
        angles.append(np.arctan2(-2 * (lit * x * y).sum(), (lit * (x**2 - y**2)).sum()) / 2)
    counted, _ = np.histogram(np.mod(angles, np.pi), 6, (0, np.pi))
    assert counted.min() > 65  # of 100 expected, 9 is the deviation


def test_horizontal_and_slanted_by_nothing_are_the_same():
    image = np.random.default_rng(1).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    slanted = cv2.filter2D(image, -1, slanted_line(9, 0.0))
    straight = MotionBlur(length_px=(9, 9), directions=["horizontal"])(
        image, np.random.default_rng(0)
    )
    assert np.abs(slanted.astype(int) - straight).max() <= 1


@pytest.mark.parametrize("directions", ["any", ["vertical"], ["diagonal"]])
def test_at_size_px_keeps_the_share_of_the_picture(directions):
    image = np.random.default_rng(1).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    for length, at_size, as_long in ((19, 128, 9), (5, 16, 21), (5, 512, 1)):
        blur = MotionBlur(length_px=(length, length), at_size_px=at_size, directions=directions)
        result = blur(image, np.random.default_rng(3))
        if as_long == 1:
            np.testing.assert_array_equal(result, image)
        else:
            plain = MotionBlur(length_px=(as_long, as_long), directions=directions)
            np.testing.assert_array_equal(result, plain(image, np.random.default_rng(3)))
