"""What every degradation of system 1 promises, alone and composed."""

import numpy as np
import pytest

from frx_degradations.downsample import Downsample
from frx_degradations.gaussian_noise import GaussianNoise
from frx_degradations.in_random_order import InRandomOrder
from frx_degradations.motion_blur import MotionBlur
from frx_degradations.one_of import OneOf
from frx_degradations.sometimes import Sometimes

PARTS = [GaussianNoise(), Downsample(), MotionBlur()]
ALL = [
    *PARTS,
    OneOf(of=PARTS),
    InRandomOrder(of=PARTS),
    Sometimes(of=PARTS, probability=1.0),
    Sometimes(of=PARTS[0], probability=0.0),
]


@pytest.fixture
def photograph():
    return np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)


@pytest.mark.parametrize("degradation", ALL, ids=lambda d: type(d).__name__)
class TestEveryDegradation:
    def test_gives_a_new_image_of_the_same_shape(self, degradation, photograph):
        before = photograph.copy()
        damaged = degradation(photograph, np.random.default_rng(1))
        assert damaged.shape == photograph.shape
        assert damaged.dtype == np.uint8
        assert damaged.flags.c_contiguous
        assert not np.shares_memory(damaged, photograph)
        np.testing.assert_array_equal(photograph, before)

    def test_is_decided_by_its_generator(self, degradation, photograph):
        once, again = (degradation(photograph, np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(once, again)

    def test_takes_a_read_only_image(self, degradation, photograph):
        photograph.flags.writeable = False
        degradation(photograph, np.random.default_rng(1))

    @pytest.mark.parametrize(
        "view",
        [
            lambda image: image[:, ::-1],
            lambda image: image[::-1, ::2],
            lambda image: image[..., ::-1],
            lambda image: image.transpose(1, 0, 2),
            lambda image: image[3:20, 5:30],
        ],
        ids=["mirrored", "flipped and thinned", "channels", "transposed", "cut out"],
    )
    def test_takes_a_view(self, degradation, photograph, view):
        of_view = degradation(view(photograph), np.random.default_rng(1))
        of_copy = degradation(view(photograph).copy(), np.random.default_rng(1))
        np.testing.assert_array_equal(of_view, of_copy)
