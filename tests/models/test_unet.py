import pytest
import torch
from torch import nn

from frx_models.unet import UNet


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("predict", ["image", "correction"])
def test_has_the_published_number_of_parameters(predict):
    assert parameters(UNet(predict=predict)) == 368_515


def test_has_the_published_blocks():
    blocks = {name: parameters(block) for name, block in UNet().named_children()}
    assert blocks == {
        "encoder": 38_720,  # 3→64→64
        "bottom": 221_440,  # 64→128→128
        "up": 32_832,  # 128→64, 2 × 2
        "decoder": 73_792,  # 128→64
        "head": 1_731,  # 64→3
    }


@pytest.mark.parametrize("predict", ["image", "correction"])
@pytest.mark.parametrize("size", [(2, 2), (3, 5), (16, 16), (17, 16), (16, 23), (33, 35)])
def test_takes_any_size(predict, size):
    degraded = torch.rand(2, 3, *size)
    assert UNet(width=4, predict=predict)(degraded).shape == degraded.shape


def test_even_part_of_an_odd_image_is_that_of_the_padded_one():
    net = UNet(width=4)
    odd = torch.rand(1, 3, 9, 7)
    even = torch.cat([odd, odd[..., -1:]], dim=3)
    even = torch.cat([even, even[:, :, -1:]], dim=2)
    torch.testing.assert_close(net(odd), net(even)[..., :9, :7])


def test_correction_starts_near_the_identity():
    degraded = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        restored = UNet(predict="correction")(degraded)
    # White noise is the strongest input there is; 0.03 would be an input PSNR of 30 dB.
    assert 0 < (restored - degraded).square().mean().sqrt() < 0.03


def test_image_stays_within_the_range():
    net = UNet(width=4, predict="image")
    nn.init.normal_(net.head.weight, std=10)
    restored = net(torch.rand(2, 3, 16, 16))
    assert 0 <= restored.min() < 0.1
    assert 0.9 < restored.max() <= 1


@pytest.mark.parametrize("predict", ["image", "correction"])
def test_gives_the_same_in_train_and_eval_mode_and_after_reloading(predict):
    net = UNet(width=8, predict=predict)
    nn.init.normal_(net.head.weight)
    degraded = torch.rand(1, 3, 13, 10)
    trained = net.train()(degraded)
    torch.testing.assert_close(net.eval()(degraded), trained, rtol=0, atol=0)
    copy = UNet(width=8, predict=predict)
    copy.load_state_dict(net.state_dict())
    torch.testing.assert_close(copy(degraded), trained, rtol=0, atol=0)


def test_correction_is_not_clamped():
    net = UNet(width=4, predict="correction")
    nn.init.constant_(net.head.bias, 0.5)
    assert net(torch.ones(1, 3, 8, 8)).min() > 1.4


def test_channels_last_gives_the_same_and_stays_channels_last():
    net = UNet(width=16, predict="correction")
    nn.init.normal_(net.head.weight, std=0.1)
    degraded = torch.rand(2, 3, 21, 24)
    plain = net(degraded)
    net.to(memory_format=torch.channels_last)
    last = net(degraded.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("predict", ["image", "correction"])
def test_every_parameter_learns_under_bf16(predict):
    net = UNet(width=8, predict=predict)
    degraded, clean = torch.rand(2, 2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        restored = net(degraded)
    (restored.float() - clean).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


@pytest.mark.parametrize("predict", ["image", "correction"])
def test_learns_to_undo_a_damage(predict):
    """Half of the brightness: most of it is back within 120 small steps."""
    net = UNet(width=8, predict=predict)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    clean = nn.functional.interpolate(torch.rand(4, 3, 4, 4), size=12, mode="bilinear")
    degraded = clean * 0.5
    for _ in range(120):
        loss = (net(degraded) - clean).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * (degraded - clean).abs().mean().item()


def test_weights_start_from_the_global_seed_of_torch():
    torch.manual_seed(1)
    first = UNet(width=4)
    torch.manual_seed(1)
    second = UNet(width=4)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
