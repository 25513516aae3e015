import pytest
import torch
from torch.nn import functional as F

from frx import testing
from frx_models.multiscale_patchgan import MultiscalePatchGAN


def test_has_the_published_number_of_parameters_a_scale():
    with torch.device("meta"):
        for scales in (1, 2, 3):
            net = MultiscalePatchGAN(scales=scales)
            assert sum(p.numel() for p in net.parameters()) == scales * 2_766_913


@pytest.mark.parametrize("conditional", [True, False])
def test_keeps_the_promises_of_a_discriminator(conditional):
    made = (MultiscalePatchGAN(width=4, conditional=conditional) for _ in range(2))
    testing.check_discriminator(*made)


def test_sizes_of_logits_and_features():
    net = MultiscalePatchGAN(width=4)
    image = torch.rand(2, 3, 64, 48)
    seen = net(image, image)
    # Padding 2 of a 4 × 4 layer: ⌊side / stride⌋ + 1.
    assert [tuple(logits.shape) for logits in seen["logits"]] == [(2, 1, 11, 9), (2, 1, 7, 6)]
    assert [[tuple(layer.shape) for layer in scale] for scale in seen["features"]] == [
        [(2, 4, 33, 25), (2, 8, 17, 13), (2, 16, 9, 7), (2, 32, 10, 8)],
        [(2, 4, 17, 13), (2, 8, 9, 7), (2, 16, 5, 4), (2, 32, 6, 5)],
    ]


def test_the_second_scale_sees_half_the_size_and_judges_with_other_weights():
    net = MultiscalePatchGAN(width=4, conditional=False)
    image = torch.rand(1, 3, 64, 64)
    half = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
    both, alone = net(image, image)["logits"], net(half, half)["logits"]
    assert not torch.allclose(both[1], alone[0])
    net.judges[0].load_state_dict(net.judges[1].state_dict())
    torch.testing.assert_close(net(half, half)["logits"][0], both[1])


def test_conditional_sees_the_degraded_picture_and_the_other_does_not():
    image, one, other = torch.rand(3, 1, 3, 32, 32)
    for conditional in (True, False):
        net = MultiscalePatchGAN(width=4, conditional=conditional).eval()
        same = torch.equal(net(image, one)["logits"][0], net(image, other)["logits"][0])
        assert same is not conditional
