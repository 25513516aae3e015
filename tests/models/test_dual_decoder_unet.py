import pytest
import torch
from torch import nn
from torch.nn import functional as F

from frx import testing
from frx.grids import to_pixels
from frx.precision import Precision
from frx_models.dual_decoder_unet import DualDecoderUNet, ResidualBlock

CPU = torch.device("cpu")


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def of_block(inputs, outputs):
    """3 × 3 convolution, scale and shift of the norm, 1 × 1 projection."""
    return 9 * inputs * outputs + 2 * outputs + inputs * outputs


def by_hand(width, levels):
    down = [width * 2**level for level in range(levels + 1)]  # the last is the bottom
    encoder = of_block(3, width) + sum(of_block(down[i], down[i + 1]) for i in range(levels))
    decoder = sum(of_block(down[i + 1] + down[i], down[i]) for i in range(levels))
    heads = (3 * width + 3) + (1 * width + 1)
    return encoder + 2 * decoder + heads


def test_has_the_number_of_parameters_of_its_structure():
    # encoder and bottom 1,743,744; each decoder 2,612,160; heads 99 and 33
    assert by_hand(32, 4) == 6_968_196
    with torch.device("meta"):
        assert parameters(DualDecoderUNet()) == 6_968_196
        for width, levels in ((8, 2), (16, 3), (1, 1)):
            net = DualDecoderUNet(width=width, levels=levels)
            assert parameters(net) == by_hand(width, levels)
    assert "6,968,196" in DualDecoderUNet.__doc__


def test_keeps_the_promises_of_a_model():
    testing.check_model(*(DualDecoderUNet(width=4, levels=3) for _ in range(2)))


@pytest.mark.parametrize("training", [True, False])
def test_a_block_without_its_convolution_is_silu_of_its_input(training):
    block = ResidualBlock(6, 6).train(training)
    x = torch.randn(2, 6, 5, 4)
    assert not torch.allclose(block(x), F.silu(x))
    nn.init.zeros_(block.convolution.weight)
    torch.testing.assert_close(block(x), x * torch.sigmoid(x), rtol=0, atol=1e-6)


def test_a_block_is_convolution_norm_sum_and_silu_in_this_order():
    block = ResidualBlock(3, 5)
    nn.init.normal_(block.norm.weight, mean=1)
    nn.init.normal_(block.norm.bias)
    x = torch.randn(2, 3, 6, 7)
    convolved = F.conv2d(x, block.convolution.weight, padding=1)
    mean = convolved.mean(dim=(0, 2, 3), keepdim=True)
    variance = convolved.var(dim=(0, 2, 3), keepdim=True, correction=0)
    scale, shift = (part.reshape(1, 5, 1, 1) for part in (block.norm.weight, block.norm.bias))
    normalised = (convolved - mean) / (variance + 1e-5).sqrt() * scale + shift
    summed = normalised + F.conv2d(x, block.projection.weight)
    torch.testing.assert_close(block(x), summed * summed.sigmoid(), rtol=1e-4, atol=1e-5)


def seen_by(net, degraded):
    """What goes into each block and what comes out: encoder, bottom, both decoders."""
    seen = []
    blocks = [block for block in net.modules() if isinstance(block, ResidualBlock)]
    hooks = [
        block.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
        for block in blocks
    ]
    net(degraded)
    for hook in hooks:
        hook.remove()
    return seen


def test_skips_are_taken_before_the_pool_and_go_to_both_decoders():
    net = DualDecoderUNet(width=4, levels=3)
    seen = seen_by(net, torch.rand(2, 3, 24, 16))
    down, bottom = seen[:3], seen[3]
    assert [tuple(out.shape[1:]) for _, out in [*down, bottom]] == [
        *[(4, 24, 16), (8, 12, 8), (16, 6, 4), (32, 3, 2)],
    ]
    for (_, out), (given, _) in zip(down, [*down[1:], bottom], strict=True):
        assert torch.equal(given, F.max_pool2d(out, 2))
    for decoder in (seen[4:7], seen[7:10]):
        deeper = bottom[1]
        for (given, out), (_, skip) in zip(decoder, reversed(down), strict=True):
            count = skip.shape[1]
            assert torch.equal(given[:, -count:], skip)
            doubled = F.interpolate(deeper, scale_factor=2, mode="bilinear", align_corners=False)
            assert torch.equal(given[:, :-count], doubled)
            assert out.shape == skip.shape
            deeper = out


def test_a_single_pixel_comes_through_where_all_but_the_first_skip_is_cut():
    """What the pools lose, the skip at full size keeps."""
    net = DualDecoderUNet(width=4, levels=2).eval()
    nn.init.zeros_(net.image_decoder.blocks[-1].convolution.weight)
    nn.init.normal_(net.image_decoder.head.weight)
    projection = net.image_decoder.blocks[-1].projection.weight
    with torch.no_grad():
        projection[:, :-4] = 0  # all that comes from below
    plain = torch.full((1, 3, 16, 16), 0.5)
    dotted = plain.clone()
    dotted[..., 7, 8] = 1
    changed = (net(dotted)["image"] - net(plain)["image"]).abs().amax(dim=(0, 1)) > 0
    rows, columns = changed.nonzero().unbind(dim=1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 8, 7, 9)
    with torch.no_grad():
        projection[:, -4:] = 0
    assert torch.equal(net(dotted)["image"], net(plain)["image"])


def test_the_decoders_are_alike_but_share_no_weights():
    net = DualDecoderUNet(width=4, levels=2)
    image, mask = (list(part.parameters()) for part in (net.image_decoder, net.mask_decoder))
    assert {id(weight) for weight in image}.isdisjoint(map(id, mask))
    assert {w.data_ptr() for w in image}.isdisjoint(w.data_ptr() for w in mask)
    *_, image_head, _ = image
    *_, mask_head, _ = mask
    assert [weight.shape for weight in image[:-2]] == [weight.shape for weight in mask[:-2]]
    assert (image_head.shape, mask_head.shape) == ((3, 4, 1, 1), (1, 4, 1, 1))
    assert not torch.equal(image[0], mask[0])


@pytest.mark.parametrize(("name", "other"), [("image", "mask_decoder"), ("mask", "image_decoder")])
def test_each_output_teaches_the_encoder_and_its_own_decoder_only(name, other):
    net = DualDecoderUNet(width=4, levels=2)
    outputs = net(torch.rand(2, 3, 16, 16))
    (outputs[name] - 0.3).square().mean().backward()
    untaught = [key for key, weight in net.named_parameters() if weight.grad is None]
    assert untaught
    assert all(key.startswith(f"{other}.") for key in untaught)
    taught = [weight.grad for weight in net.parameters() if weight.grad is not None]
    assert len(taught) + len(untaught) == len(list(net.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in taught)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16), (3, 40), (33, 31), (37, 53)])
def test_takes_any_size(size, count, training):
    degraded = torch.rand(count, 3, *size)
    outputs = DualDecoderUNet(width=2).train(training)(degraded)
    assert set(outputs) == {"image", "mask"}
    assert outputs["image"].shape == degraded.shape
    assert outputs["mask"].shape == (count, 1, *size)
    assert all(torch.isfinite(value).all() for value in outputs.values())


@pytest.mark.parametrize("size", [(5, 7), (16, 16), (20, 9)])
def test_a_picture_is_restored_alike_alone_and_in_a_batch(size):
    net = DualDecoderUNet(width=4).eval()
    nn.init.normal_(net.image_decoder.head.weight)
    degraded = torch.rand(2, 3, *size)
    torch.testing.assert_close(net(degraded[:1])["image"], net(degraded)["image"][:1])


@pytest.mark.parametrize("training", [True, False])
def test_an_odd_image_is_answered_as_one_whose_right_and_lower_edge_is_repeated(training):
    net = DualDecoderUNet(width=4, levels=3).train(training)
    odd = torch.rand(2, 3, 21, 7)
    whole = torch.cat([odd, odd[..., -1:]], dim=3)
    whole = torch.cat([whole, *[whole[:, :, -1:]] * 3], dim=2)
    answer, expected = net(odd), net(whole)
    assert expected["image"].shape == (2, 3, 24, 8)
    for name, value in answer.items():
        torch.testing.assert_close(value, expected[name][..., :21, :7])


def test_image_spans_zero_to_one_and_mask_has_no_bounds():
    net = DualDecoderUNet(width=4, levels=2)
    for decoder in (net.image_decoder, net.mask_decoder):
        nn.init.normal_(decoder.head.weight, std=10)
    outputs = net(torch.rand(2, 3, 16, 16))
    assert 0 <= outputs["image"].min() < 0.01
    assert 0.99 < outputs["image"].max() <= 1
    assert outputs["mask"].min() < -5
    assert outputs["mask"].max() > 5


def test_takes_zero_to_one_and_layers_see_minus_one_to_one():
    net = DualDecoderUNet(width=2, levels=1)
    (given, _), *_ = seen_by(net, torch.tensor([0.0, 1.0]).repeat(1, 3, 4, 2))
    assert given.unique().tolist() == [-1, 1]


@pytest.mark.parametrize("training", [True, False])
def test_starts_grey_and_takes_a_few_pixels_for_damaged(training):
    net = DualDecoderUNet(width=32, levels=3).train(training)
    outputs = net(torch.rand(2, 3, 32, 32))
    assert (outputs["image"] - 0.5).abs().max() < 0.25  # tanh is far from saturated
    found = outputs["mask"].sigmoid()
    assert found.mean().item() == pytest.approx(0.05, abs=0.015)
    assert (found >= 0.1).float().mean() < 0.01


def test_differs_in_training_as_it_says_and_finds_damage():
    net = DualDecoderUNet(width=4, levels=2)
    assert DualDecoderUNet.differs_in_training is DualDecoderUNet.finds_damage is True
    degraded = torch.rand(2, 3, 16, 16)
    trained = net(degraded)["mask"]
    assert not torch.equal(net.eval()(degraded)["mask"], trained)


@pytest.mark.parametrize("training", [True, False])
def test_bf16_is_near_float32_and_the_picture_has_its_256_steps(training):
    net = DualDecoderUNet(width=16, levels=3)
    for decoder in (net.image_decoder, net.mask_decoder):
        nn.init.normal_(decoder.head.weight, std=0.3)
    degraded = torch.rand(2, 3, 40, 48)
    net(degraded)  # running statistics of its own
    net.train(training)
    plain = net(degraded)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = net(degraded)
    for name, value in rounded.items():
        assert value.dtype == torch.float32
        assert torch.isfinite(value).all()
        error = (value - plain[name]).square().mean().sqrt()
        assert error < 0.05 * plain[name].std(), name
    assert len(set(to_pixels(rounded["image"][0]).ravel().tolist())) > 200


@pytest.mark.parametrize("bf16", [False, True])
def test_every_parameter_learns(bf16):
    net = DualDecoderUNet(width=4, levels=3)
    outputs = Precision(CPU, bf16).forward(net, {"degraded": torch.rand(2, 3, 24, 24)})
    target = torch.zeros_like(outputs["mask"])
    loss = F.binary_cross_entropy_with_logits(outputs["mask"], target)
    (loss + (outputs["image"] - 0.3).abs().mean()).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_channels_last_gives_the_same_and_stays_channels_last():
    net = DualDecoderUNet(width=8, levels=2).eval()
    nn.init.normal_(net.image_decoder.head.weight)
    degraded = torch.rand(2, 3, 21, 24)
    plain = net(degraded)
    Precision(CPU, bf16=False).place(net)
    last = degraded.contiguous(memory_format=torch.channels_last)
    for _, out in seen_by(net, last):
        assert out.is_contiguous(memory_format=torch.channels_last)
    for name, value in net(last).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5)


def test_learns_to_find_holes_and_to_fill_them():
    """Four smooth pictures with a black square each, by heart within 60 steps."""
    net = DualDecoderUNet(width=8, levels=2)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    clean = F.interpolate(torch.rand(4, 3, 4, 4), size=32, mode="bilinear")
    mask = torch.zeros(4, 1, 32, 32)
    for index, (y, x) in enumerate([(4, 6), (16, 3), (10, 18), (20, 20)]):
        mask[index, :, y : y + 9, x : x + 9] = 1
    degraded = clean * (1 - mask)

    def inside(image):
        return ((image - clean).abs() * mask).sum() / mask.sum()

    @torch.no_grad()
    def iou_and_error():
        outputs = net.eval()(degraded)
        found, there = outputs["mask"].sigmoid() >= 0.1, mask > 0
        iou = (found & there).sum() / (found | there).sum()
        return iou.item(), inside(outputs["image"]).item()

    iou_before, error_before = iou_and_error()
    net.train()
    for _ in range(60):
        outputs = net(degraded)
        loss = 2 * inside(outputs["image"])
        loss = loss + F.binary_cross_entropy_with_logits(outputs["mask"], mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    iou, error = iou_and_error()
    assert iou_before < 0.1
    assert iou > 0.8
    assert error < 0.25 * error_before
