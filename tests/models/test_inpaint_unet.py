import numpy as np
import pytest
import torch
from torch import nn

from frx.grids import to_pixels
from frx.precision import Precision
from frx_models.inpaint_unet import InpaintUNet, SelfAttention


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def holed(height, width, count=2):
    """Pictures of 8 bits whose middle is a hole."""
    degraded = torch.randint(0, 256, (count, 3, height, width)) / 255
    mask = torch.zeros(count, 1, height, width)
    mask[..., height // 4 : -(height // 4), width // 4 : -(width // 4)] = 1
    return degraded, mask


@pytest.mark.parametrize(("width", "count"), [(64, 4_880_836), (32, 1_221_860)])
def test_has_the_published_number_of_parameters(width, count):
    assert parameters(InpaintUNet(width=width)) == count


def test_has_the_published_blocks():
    blocks = {name: parameters(block) for name, block in InpaintUNet().named_children()}
    assert blocks == {
        "enc1": 39_296,  # 4→64→64
        "enc2": 221_440,  # 64→128→128
        "enc3": 885_248,  # 128→256→256
        "attention": 82_241,  # 256→32 twice, 256→256, gamma
        "bottleneck": 1_180_160,  # 256→256→256
        "dec3": 1_769_984,  # 512→256→256
        "dec2": 590_080,  # 384→128→128
        "dec1": 112_387,  # 192→64→3
    }


def test_attends_over_25_places_a_side_at_200_pixels():
    shapes = []
    net = InpaintUNet(width=4)
    net.attention.register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    net(*holed(200, 200, 1))
    assert shapes == [(1, 16, 25, 25)]


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (16, 24), (17, 23), (37, 53)])
def test_takes_any_size(size):
    degraded, mask = holed(*size)
    outputs = InpaintUNet(width=4)(degraded, mask)
    assert outputs["image"].shape == outputs["generated"].shape == degraded.shape


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (37, 53)])
def test_pixels_outside_the_hole_are_the_given_ones_bit_for_bit(size, bf16):
    degraded, mask = holed(*size)
    net = InpaintUNet(width=4)
    nn.init.normal_(net.dec1[-1].weight)  # generates something else than grey
    batch = {"degraded": degraded, "mask": mask}
    outputs = Precision(torch.device("cpu"), bf16).forward(net, batch)
    hole = mask.expand_as(degraded) > 0
    assert outputs["image"].dtype == torch.float32
    assert torch.equal(outputs["image"][~hole], degraded[~hole])
    assert torch.equal(outputs["image"][hole], outputs["generated"][hole])
    given, made = (to_pixels(picture[0]) for picture in (degraded, outputs["image"]))
    assert np.array_equal((given != made).any(axis=2), hole[0, 0].numpy())


@pytest.mark.parametrize("size", [(32, 32), (29, 35)])
def test_what_stands_in_the_hole_has_no_influence(size):
    degraded, mask = holed(*size)
    mask[..., -5:, -5:] = 1  # also where the picture is padded
    net = InpaintUNet(width=4)
    nn.init.normal_(net.dec1[-1].weight)
    other = torch.where(mask > 0, torch.rand_like(degraded), degraded)
    assert not torch.equal(other, degraded)
    assert torch.equal(net(degraded, mask)["image"], net(other, mask)["image"])


def test_the_mask_tells_a_hole_from_grey_pixels():
    grey = torch.full((1, 3, 16, 16), 0.5)
    net = InpaintUNet(width=4)
    nn.init.normal_(net.dec1[-1].weight)
    nothing, everything = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    one, other = (net(grey, mask)["generated"] for mask in (nothing, everything))
    assert (one - other).abs().max() > 0.01


def test_generated_spans_the_range_and_starts_grey():
    degraded, mask = holed(32, 32)
    net = InpaintUNet(width=16)
    assert (net(degraded, mask)["generated"] - 0.5).abs().max() < 0.05
    nn.init.normal_(net.dec1[-1].weight, std=10)
    generated = net(degraded, mask)["generated"]
    assert 0 <= generated.min() < 0.1
    assert 0.9 < generated.max() <= 1


def plain_attention(layer, x):
    query, key, value = (part(x).flatten(2) for part in (layer.query, layer.key, layer.value))
    weights = (query.transpose(1, 2) @ key).softmax(dim=2)  # [B, N queries, N keys]
    return x + layer.gamma * (value @ weights.transpose(1, 2)).reshape(x.shape)


@pytest.mark.parametrize("channels", [256, 16])
def test_attention_is_the_formula_of_its_paper_with_its_gradients(channels):
    layer = SelfAttention(channels)
    nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(2, channels, 6, 5, requires_grad=True)
    found, expected = layer(x), plain_attention(layer, x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    wanted = [x, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), wanted),
        torch.autograd.grad(expected.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_attention_is_that_of_its_paper_in_bf16():
    layer = SelfAttention(256)
    nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(2, 256, 6, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    added, expected = found.float() - x, plain_attention(layer, x) - x
    assert (added - expected).square().mean().sqrt() < 0.02 * expected.square().mean().sqrt()


def test_attention_starts_as_nothing():
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(SelfAttention(16)(x), x)


@pytest.mark.parametrize("bf16", [False, True])
def test_every_parameter_learns_once_attention_counts(bf16):
    net = InpaintUNet(width=8)
    nn.init.constant_(net.attention.gamma, 0.1)
    degraded, mask = holed(24, 24)
    batch = {"degraded": degraded, "mask": mask}
    outputs = Precision(torch.device("cpu"), bf16).forward(net, batch)
    (outputs["image"] - 0.3).square().mean().backward()
    gradients = {name: parameter.grad.abs().max() for name, parameter in net.named_parameters()}
    del gradients["attention.key.bias"]  # adds one number to all scores of a query: no effect
    assert [name for name, largest in gradients.items() if not largest > 0] == []


def test_channels_last_gives_the_same_and_stays_channels_last():
    net = InpaintUNet(width=16)
    nn.init.constant_(net.attention.gamma, 0.5)
    nn.init.normal_(net.dec1[-1].weight, std=0.1)
    degraded, mask = holed(21, 24)
    plain = net(degraded, mask)["image"]
    seen = []
    net.to(memory_format=torch.channels_last)
    net.attention.register_forward_hook(lambda _, __, out: seen.append(out))
    last = net(degraded.contiguous(memory_format=torch.channels_last), mask)["image"]
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


def test_gives_the_same_in_train_and_eval_mode_and_after_reloading():
    net = InpaintUNet(width=4)
    nn.init.normal_(net.dec1[-1].weight)
    degraded, mask = holed(13, 10)
    trained = net.train()(degraded, mask)["image"]
    torch.testing.assert_close(net.eval()(degraded, mask)["image"], trained, rtol=0, atol=0)
    copy = InpaintUNet(width=4)
    copy.load_state_dict(net.state_dict())
    torch.testing.assert_close(copy(degraded, mask)["image"], trained, rtol=0, atol=0)


def test_learns_to_fill_a_hole():
    """Smooth pictures: most of a grey fill's error is gone within 60 small steps."""
    net = InpaintUNet(width=8)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    clean = nn.functional.interpolate(torch.rand(4, 3, 4, 4), size=16, mode="bilinear")
    mask = holed(16, 16, 4)[1]
    for _ in range(60):
        difference = (net(clean * (1 - mask), mask)["image"] - clean).abs()
        loss = difference.sum() / (3 * mask.sum())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    grey = ((0.5 - clean).abs() * mask).sum() / (3 * mask.sum())
    assert loss.item() < 0.4 * grey.item()
