import pytest
import torch
from torch import nn

from frx_models.small_patchgan import SmallPatchGAN


def test_has_the_published_number_of_parameters():
    assert sum(parameter.numel() for parameter in SmallPatchGAN().parameters()) == 35_553


@pytest.mark.parametrize(
    ("size", "places"),
    [((200, 200), (49, 49)), ((64, 64), (15, 15)), ((37, 53), (8, 12)), ((12, 12), (2, 2))],
)
def test_gives_one_number_a_patch(size, places):
    logits = SmallPatchGAN()(torch.rand(2, 3, *size))["logits"]
    assert logits.shape == (2, 1, *places)


def test_judges_patches_of_22_pixels():
    net = SmallPatchGAN().eval()  # running statistics: in training all pixels meet in the norm
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(image)["logits"][0, 0, 7, 7], image)
    rows, columns = gradient[0].abs().sum(dim=0).nonzero().unbind(dim=1)
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == 22


def test_mid_grey_is_nought_inside():
    net = SmallPatchGAN().eval()
    logits = net(torch.full((1, 3, 16, 16), 0.5))["logits"]
    assert torch.equal(logits, torch.zeros_like(logits))
    brighter, darker = (net.layers[0](torch.full((1, 3, 16, 16), x)) for x in (1.0, -1.0))
    seen = []
    net.layers[0].register_forward_hook(lambda _, __, out: seen.append(out))
    net(torch.ones(1, 3, 16, 16))
    net(torch.zeros(1, 3, 16, 16))
    assert torch.equal(seen[0], brighter)
    assert torch.equal(seen[1], darker)


def test_weights_start_as_those_of_pix2pix():
    net = SmallPatchGAN()
    middle = net.layers[2]
    assert middle.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert middle.weight.mean().item() == pytest.approx(0, abs=1e-3)
    norm = net.layers[3]
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert 0 < norm.weight.std() < 0.04


def test_says_that_it_differs_in_training_and_does():
    net = SmallPatchGAN()
    image = torch.rand(2, 3, 32, 32)
    assert net.differs_in_training
    trained = net(image)["logits"]
    assert not torch.equal(net.eval()(image)["logits"], trained)


def test_passes_a_gradient_on_to_the_picture_and_to_every_weight():
    net = SmallPatchGAN()
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(image)["logits"]
    nn.functional.softplus(-logits.float()).mean().backward()
    assert image.grad.abs().max() > 0
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_learns_to_tell_noise_from_smooth_pictures():
    net = SmallPatchGAN()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    smooth = nn.functional.interpolate(torch.rand(8, 3, 4, 4), size=32, mode="bilinear")
    noisy = smooth + 0.1 * torch.randn_like(smooth)
    for _ in range(30):
        real, made = net(smooth)["logits"], net(noisy)["logits"]
        loss = nn.functional.softplus(-real).mean() + nn.functional.softplus(made).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.8  # 2 ln 2 = 1.39 for one that cannot tell
