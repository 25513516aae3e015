"""Layers that are torch's in what they compute, and faster in how."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from frx_models.instance_norm import InstanceNorm2d
from frx_models.joining import joined
from frx_models.transposed_convolution import ConvTranspose2d

LAST = torch.channels_last


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return drawn.contiguous(memory_format=LAST)


def assert_same_with_gradients(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    theirs.load_state_dict(ours.state_dict())
    found = []
    for module in (ours, theirs):
        given = x.clone().requires_grad_()
        y = module(given)
        (y * numbers(*y.shape, seed=1)).sum().backward()
        assert given.grad is not None
        weights = [parameter.grad for parameter in module.parameters()]
        found.append([y.detach(), given.grad, *weights])
    torch.testing.assert_close(*found)


class ByDefinition(nn.Module):
    """torch's own has a wrong gradient where that which comes back to it is channels_last."""

    def __init__(self, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(5).double()) if affine else None
        self.bias = nn.Parameter(torch.empty(5).double()) if affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        y = (x - mean) / (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        if self.weight is None or self.bias is None:
            return y
        return y * self.weight[:, None, None] + self.bias[:, None, None]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_is_as_defined_and_stays_channels_last(batch: int, affine: bool) -> None:
    x = 3 * numbers(batch, 5, 6, 7) + 2
    norm = InstanceNorm2d(5, affine=affine).double()
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    assert_same_with_gradients(norm, ByDefinition(affine), x)
    torch.testing.assert_close(norm(x), F.instance_norm(x, weight=norm.weight, bias=norm.bias))
    assert norm(x).is_contiguous(memory_format=LAST)
    assert norm.eval()(x).equal(norm.train()(x))


@pytest.mark.parametrize("layout", [LAST, torch.contiguous_format], ids=str)
def test_joined_maps_have_gradients_that_are_whole_in_memory(layout: torch.memory_format) -> None:
    maps = [numbers(2, channels, 4, 4).contiguous(memory_format=layout) for channels in (3, 5)]
    given = [one.clone().requires_grad_() for one in maps]
    seen: list[torch.Tensor] = []
    passed = [one * 1 for one in given]
    for one in passed:
        one.register_hook(seen.append)
    wanted = [one.clone().requires_grad_() for one in maps]
    weights = numbers(2, 8, 4, 4, seed=1).contiguous(memory_format=layout)
    (joined(*passed) * weights).sum().backward()
    (torch.cat(wanted, dim=1) * weights).sum().backward()
    assert joined(*maps).equal(torch.cat(maps, dim=1))
    for one, other in zip(given, wanted, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.equal(other.grad)
    assert all(one.is_contiguous(memory_format=layout) for one in seen)
    assert torch.autograd.gradcheck(joined, given)
    assert torch.autograd.gradgradcheck(joined, given)


@pytest.mark.parametrize("more", [{}, {"groups": 2, "output_padding": 1, "dilation": 2}], ids=str)
def test_a_transposed_convolution_is_torchs(more: dict[str, int]) -> None:
    layer = ConvTranspose2d(4, 6, 4, stride=2, padding=1, **more).double()
    theirs = nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, **more).double()
    assert_same_with_gradients(layer, theirs, numbers(2, 4, 5, 6))


def test_under_autocast_the_bias_takes_no_result_to_float32() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        drawn = ConvTranspose2d(4, 3, 2, stride=2)(torch.rand(1, 4, 8, 8))
    assert drawn.dtype == torch.bfloat16


def test_a_norm_of_one_pixel_is_refused_as_torch_refuses_it() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        InstanceNorm2d(4)(torch.rand(2, 4, 1, 1))
    with pytest.raises(ValueError, match="more than 1"):
        F.instance_norm(torch.rand(2, 4, 1, 1))
