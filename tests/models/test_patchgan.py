import pytest
import torch
from torch import nn

from frx_models.patchgan import PatchGAN


@pytest.mark.parametrize(
    ("conditional", "count"),
    [(True, 2_768_705), (False, 2_768_705 - 3 * 64 * 4 * 4)],  # three channels fewer to look at
)
def test_has_the_published_number_of_parameters(conditional, count):
    net = PatchGAN(conditional=conditional)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


@pytest.mark.parametrize(
    ("size", "places"),
    [((256, 256), (30, 30)), ((64, 64), (6, 6)), ((37, 53), (2, 4)), ((24, 24), (1, 1))],
)
@pytest.mark.parametrize("conditional", [True, False])
def test_gives_one_number_a_patch(size, places, conditional):
    image, degraded = torch.rand(2, 2, 3, *size)
    logits = PatchGAN(width=2, conditional=conditional)(image, degraded)["logits"]
    assert logits.shape == (2, 1, *places)


def test_judges_patches_of_70_pixels():
    net = PatchGAN(width=4).eval()  # running statistics: in training all pixels meet in the norm
    image, degraded = torch.rand(2, 1, 3, 128, 128, requires_grad=True)
    logits = net(image, degraded)["logits"]
    for picture in torch.autograd.grad(logits[0, 0, 7, 7], (image, degraded)):
        rows, columns = picture[0].abs().sum(dim=0).nonzero().unbind(dim=1)
        assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == 70


def test_sees_the_damaged_picture_only_if_conditional():
    image, degraded, other = torch.rand(3, 1, 3, 32, 32)
    for conditional in (True, False):
        net = PatchGAN(width=4, conditional=conditional).eval()
        one, two = (net(image, beside)["logits"] for beside in (degraded, other))
        assert torch.equal(one, two) != conditional
        assert not torch.equal(one, net(other, degraded)["logits"])


def test_layers_see_minus_one_to_one():
    net = PatchGAN(width=4)
    seen = []
    net.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net(torch.ones(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
    assert sorted(seen[0].unique().tolist()) == [-1, 1]


def test_weights_start_as_those_of_pix2pix():
    net = PatchGAN(width=32)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
            assert 0.01 < layer.weight.std() < 0.03


def test_differs_in_training_as_it_says():
    net = PatchGAN(width=4)
    image, degraded = torch.rand(2, 2, 3, 32, 32)
    assert net.differs_in_training
    trained = net(image, degraded)["logits"]
    assert not torch.equal(net.eval()(image, degraded)["logits"], trained)


def test_passes_a_gradient_on_to_the_picture_and_to_every_weight_under_bf16():
    net = PatchGAN(width=4)
    image = torch.rand(2, 3, 40, 33, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(image, torch.rand_like(image))["logits"]
    (logits.float() - 1).square().mean().backward()
    assert image.grad.abs().max() > 0
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_learns_which_picture_suits_the_damaged_one():
    """Real and made are the same pictures; only what stands beside them tells them apart."""
    net = PatchGAN(width=8)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    clean = nn.functional.interpolate(torch.rand(8, 3, 2, 2), size=32, mode="bilinear")
    degraded = clean * 0.5
    for _ in range(40):
        real, made = (net(image, degraded)["logits"] for image in (clean, clean.roll(1, dims=0)))
        loss = (real - 1).square().mean() + made.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.25  # 0.5 for one that cannot tell
