import pytest
import torch
from torch.nn import functional as F

from frx_models.gated_convolution import gated_convolution


def drawn(stride, size=3, height=9, width=8, dtype=torch.double):
    generator = torch.Generator().manual_seed(stride * size)
    x = torch.randn(2, 5, height, width, dtype=dtype, generator=generator)
    weight = torch.randn(4, 5, size, size, dtype=dtype, generator=generator)
    shape = (2, size**2, -(-height // stride), -(-width // stride))
    return x, torch.rand(shape, dtype=dtype, generator=generator), weight


def unfolded(x, gate, weight, stride):
    """The same with all taps side by side, K² times as large as x."""
    size = weight.shape[-1]
    windows = F.unfold(x, size, padding=size // 2, stride=stride)  # [B, C · T, places]
    windows = windows.reshape(len(x), x.shape[1], size**2, -1) * gate.flatten(2)[:, None]
    result = torch.einsum("oct,bctp->bop", weight.flatten(2), windows)
    return result.reshape(len(x), len(weight), *gate.shape[-2:])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_gate_of_one_is_an_ordinary_convolution(stride, size):
    x, gate, weight = drawn(stride, size)
    plain = F.conv2d(x, weight, stride=stride, padding=size // 2)
    result = gated_convolution(x, torch.ones_like(gate), weight, stride)
    torch.testing.assert_close(result, plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 5])
def test_equals_the_unfolded_form_and_so_do_its_gradients(stride, size):
    x, gate, weight = (tensor.requires_grad_(True) for tensor in drawn(stride, size))
    ours, theirs = (form(x, gate, weight, stride) for form in (gated_convolution, unfolded))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    direction = torch.randn_like(ours)
    for mine, its in zip(
        torch.autograd.grad(ours, (x, gate, weight), direction),
        torch.autograd.grad(theirs, (x, gate, weight), direction),
        strict=True,
    ):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-11)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_finite_differences(stride):
    given = [tensor.requires_grad_(True) for tensor in drawn(stride, height=5, width=4)]
    assert torch.autograd.gradcheck(lambda *tensors: gated_convolution(*tensors, stride), given)


def test_each_tap_has_a_gate_of_its_own_at_each_place():
    x, gate, weight = drawn(1)
    gate.zero_()
    gate[0, 2, 4, 3] = 1  # the tap one row up and one column to the right
    result = gated_convolution(x, gate, weight, 1)
    expected = torch.zeros_like(result)
    expected[0, :, 4, 3] = weight[:, :, 0, 2] @ x[0, :, 3, 4]
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def kept_for_the_way_back(form, size):
    """Bytes that autograd keeps of what `form` makes, besides the tensors it is given."""
    x, gate, weight = (t.requires_grad_(True) for t in drawn(1, size, 24, 24, torch.float32))
    given = {tensor.untyped_storage().data_ptr() for tensor in (x, gate, weight)}
    seen = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in given:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = form(x, gate, weight, 1)
    assert result.requires_grad
    return sum(seen.values()), x.untyped_storage().nbytes()


def test_nothing_as_large_as_all_taps_side_by_side_is_kept():
    for size in (3, 5):
        unfolding, feature_map = kept_for_the_way_back(unfolded, size)
        assert unfolding >= size**2 * feature_map
        ours, _ = kept_for_the_way_back(gated_convolution, size)
        assert ours <= feature_map


def test_bfloat16_sums_in_float32():
    x, gate, weight = drawn(1, dtype=torch.float32)
    expected = gated_convolution(x, gate, weight, 1)
    with torch.autocast("cpu", torch.bfloat16):
        result = gated_convolution(x, gate, weight, 1)
    assert result.dtype == torch.bfloat16
    # 45 products of two rounded factors each, of size 1, and the result rounded once.
    assert (result - expected).abs().max() < 0.1


def test_a_gate_of_another_size_is_refused():
    x, gate, weight = drawn(2)
    with pytest.raises(
        ValueError, match=r"the gate is \(2, 9, 5, 4\); it has to be \(2, 9, 9, 8\)"
    ):
        gated_convolution(x, gate, weight, 1)
