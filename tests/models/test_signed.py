import numpy as np
import pytest
import torch

from frx.grids import to_pixels
from frx.loader import to_device
from frx_models.signed import from_signed, to_signed

EVERY_LEVEL = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)


def test_ends_and_middle():
    given = torch.tensor([0, 0.25, 0.5, 1])
    assert to_signed(given).tolist() == [-1, -0.5, 0, 1]
    assert from_signed(to_signed(given)).tolist() == given.tolist()


def test_every_level_of_8_bits_survives_the_way_there_and_back():
    image = to_device(torch.from_numpy(EVERY_LEVEL[None]), torch.device("cpu"))
    signed = to_signed(image)
    assert signed.unique().numel() == 256
    assert (signed.min(), signed.max()) == (-1, 1)
    assert np.array_equal(to_pixels(from_signed(signed)), EVERY_LEVEL)


def test_is_within_a_rounding_of_float32():
    levels = torch.arange(256) / 255
    assert (from_signed(to_signed(levels)) - levels).abs().max() <= 2**-24
    exact = (2 * torch.arange(256, dtype=torch.float64) - 255) / 255
    assert (to_signed(levels).double() - exact).abs().max() <= 2**-23


@pytest.mark.parametrize(("convert", "slope"), [(to_signed, 2), (from_signed, 0.5)])
def test_gives_a_new_tensor_and_lets_gradients_through(convert, slope):
    given = torch.tensor([0.0, 0.3, 1.0], requires_grad=True)
    before = given.detach().clone()
    convert(given).sum().backward()
    assert torch.equal(given, before)
    assert given.grad.tolist() == [slope] * 3
