import pytest
import torch
from torch import nn

from frx.grids import to_pixels
from frx_models.pix2pix_unet import Pix2PixUNet

SECOND_FORM = {"norm": "instance", "last": "upsample"}
FORMS = [{}, SECOND_FORM]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("options", "count"), [({}, 54_413_955), (SECOND_FORM, 54_404_099), ({"levels": 7}, 41_828_995)]
)
def test_has_the_published_number_of_parameters(options, count):
    with torch.device("meta"):
        assert parameters(Pix2PixUNet(**options)) == count


def test_only_the_last_layer_has_biases_beside_those_of_norms():
    for options in FORMS:
        net = Pix2PixUNet(levels=5, width=2, **options)
        of_convolutions = [
            layer.bias
            for layer in net.modules()
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None
        ]
        assert [bias.shape for bias in of_convolutions] == [(3,)]


@pytest.mark.parametrize("options", FORMS)
def test_goes_down_to_one_place_and_back_in_as_many_steps(options):
    net = Pix2PixUNet(levels=5, width=8, **options).eval()
    seen = []
    for layer in [*net.encoder, *net.decoder, net.last]:
        layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:3])))
    net(torch.rand(1, 3, 32, 32))
    assert seen == [
        *[(8, 16), (16, 8), (32, 4), (64, 2), (64, 1)],
        *[(64, 2), (32, 4), (16, 8), (8, 16), (3, 32)],
    ]


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 31), (37, 53)])
def test_takes_any_size_also_one_picture_in_training(size, options):
    degraded = torch.rand(1, 3, *size)
    restored = Pix2PixUNet(levels=5, width=8, **options)(degraded)
    assert restored.shape == degraded.shape
    assert torch.isfinite(restored).all()


def test_even_part_of_an_odd_image_is_that_of_the_padded_one():
    net = Pix2PixUNet(levels=3, width=4).eval()
    odd = torch.rand(1, 3, 15, 7)
    even = torch.cat([odd, odd[..., -1:]], dim=3)
    even = torch.cat([even, even[:, :, -1:]], dim=2)
    torch.testing.assert_close(net(odd), net(even)[..., :15, :7])


@pytest.mark.parametrize("options", FORMS)
def test_stays_within_the_range_that_it_spans(options):
    net = Pix2PixUNet(levels=3, width=4, **options)
    nn.init.normal_(net.last[-1].weight, std=10)
    restored = net(torch.rand(2, 3, 16, 16))
    assert 0 <= restored.min() < 0.1
    assert 0.9 < restored.max() <= 1


def test_takes_zero_to_one_and_layers_see_minus_one_to_one():
    net = Pix2PixUNet(levels=2, width=2)
    seen = []
    net.encoder[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net(torch.tensor([0.0, 1.0]).repeat(1, 3, 4, 2))
    assert seen[0].unique().tolist() == [-1, 1]


def test_dropout_acts_in_the_three_innermost_decoder_layers():
    net = Pix2PixUNet(levels=6, width=2, dropout=0.5)
    shares = [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)]
    assert shares == [0.5, 0.5, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({}, True),
        ({"dropout": 0.5}, True),
        ({"norm": "instance", "dropout": 0.5}, True),
        ({"norm": "instance"}, False),
    ],
)
def test_differs_in_training_as_it_says(options, differs):
    net = Pix2PixUNet(levels=4, width=4, **options)
    assert net.differs_in_training == differs
    degraded = torch.rand(2, 3, 16, 16)
    trained = net(degraded)
    assert torch.equal(net.eval()(degraded), trained) != differs


def test_with_instance_norm_a_picture_is_restored_alike_alone_and_in_a_batch():
    degraded = torch.rand(3, 3, 16, 16)
    net = Pix2PixUNet(levels=4, width=4, norm="instance")
    torch.testing.assert_close(net(degraded)[:1], net(degraded[:1]))
    net = Pix2PixUNet(levels=4, width=4, norm="batch")
    assert (net(degraded)[:1] - net(degraded[:1])).abs().max() > 1e-3


def test_weights_start_as_in_its_reference_code():
    net = Pix2PixUNet(levels=4, width=16)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert layer.bias is None or not layer.bias.any()
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert 0.01 < layer.weight.std() < 0.03


@pytest.mark.parametrize("options", FORMS)
def test_every_parameter_learns_under_bf16_and_the_picture_has_its_256_steps(options):
    net = Pix2PixUNet(levels=4, width=8, **options)
    nn.init.normal_(net.last[-1].weight, std=0.1)
    degraded, clean = torch.rand(2, 2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        restored = net(degraded)
    assert restored.dtype == torch.float32
    assert len(set(to_pixels(restored[0]).ravel().tolist())) > 200
    (restored - clean).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


@pytest.mark.parametrize("options", FORMS)
def test_channels_last_gives_the_same(options):
    net = Pix2PixUNet(levels=3, width=8, **options).eval()
    degraded = torch.rand(2, 3, 21, 24)
    plain = net(degraded)
    net.to(memory_format=torch.channels_last)
    last = net(degraded.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", FORMS)
def test_learns_to_undo_a_damage(options):
    """Half of the brightness: most of it is back within 40 small steps."""
    net = Pix2PixUNet(levels=3, width=8, **options)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    clean = nn.functional.interpolate(torch.rand(4, 3, 4, 4), size=16, mode="bilinear")
    degraded = clean * 0.5
    for _ in range(40):
        loss = (net(degraded) - clean).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * (degraded - clean).abs().mean().item()
