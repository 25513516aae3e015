from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from frx import testing
from frx_models.hifacegan import SUPPRESSIONS, HiFaceGAN
from frx_models.spade import Spade, SpadeBlock
from frx_models.suppression import AdaptiveSuppression, Gate, LipSuppression


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("width", "count"),
    [(8, 5_271_835), (16, 14_288_819), (32, 41_201_635), (48, 79_854_931), (64, 130_543_811)],
)
def test_has_the_number_of_parameters_of_the_published_code(width, count):
    with torch.device("meta"):
        assert parameters(HiFaceGAN(width=width, suppression="lip")) == count


def test_the_gates_take_few_parameters():
    with torch.device("meta"):
        adaptive, plain = (
            HiFaceGAN(width=64, suppression=suppression) for suppression in ("adaptive", "none")
        )
    channels = [64, 128, 256, 512, 1024]
    gates = sum(16 * c + 16 + 16 * 16 + 16 for c in channels)
    assert parameters(adaptive) - parameters(plain) == gates < 0.0003 * parameters(plain)


@pytest.mark.parametrize("suppression", SUPPRESSIONS)
def test_keeps_the_promises_of_a_model(suppression):
    testing.check_model(*(HiFaceGAN(width=4, suppression=suppression) for _ in range(2)))


@pytest.mark.parametrize("suppression", SUPPRESSIONS)
def test_training_and_evaluation_give_the_same_to_the_last_bit(suppression):
    """Also after steps of training, and a picture alone the same as in a batch."""
    net = HiFaceGAN(width=4, suppression=suppression)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    degraded = torch.rand(3, 3, 64, 96)
    for _ in range(3):
        F.mse_loss(net.train()(degraded), 1 - degraded).backward()
        optimizer.step()
        with torch.no_grad():
            evaluated = net.eval()(degraded)
            alone = net(degraded[1:2])
            assert torch.equal(net.train()(degraded), evaluated)
        torch.testing.assert_close(alone, evaluated[1:2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (64, 64), (65, 200)])
def test_any_size_works_and_gradients_reach_every_gate(size):
    net = HiFaceGAN(width=4)
    restored = net(torch.rand(1, 3, *size))
    assert restored.shape == (1, 3, *size)
    restored.square().mean().backward()
    gates = [module for module in net.modules() if isinstance(module, Gate)]
    assert len(gates) == 5
    for gate in gates:
        assert all(parameter.grad is not None for parameter in gate.parameters())
        if min(size) > 1:
            assert all(parameter.grad.any() for parameter in gate.parameters())


def test_the_guides_have_the_pyramids_sizes():
    """512² × 64 … 16² × 1024 of the paper, an eighth of both here."""
    net = HiFaceGAN(width=8)
    shapes = []
    for stage in [net.head, *net.stages]:
        stage.register_forward_hook(lambda module, given, made: shapes.append(made.shape[1:]))
    net(torch.rand(1, 3, 64, 64))
    assert shapes == [
        (8, 64, 64),
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
        (128, 2, 2),
    ]


def test_a_gate_says_how_well_neighbours_agree():
    gate = Gate(6)
    x = torch.randn(2, 6, 7, 8)
    passed = gate(x, stride=2)
    assert passed.shape == (2, 9, 4, 4)
    assert 0 <= passed.min() < passed.max() <= 1
    g = gate.describe(x)
    # Tap 5 of 0..8 is one column to the right, tap 0 diagonally above.
    by_hand = torch.sigmoid((g[0, :, 4, 5] * g[0, :, 4, 4]).sum() / 16**0.5)
    torch.testing.assert_close(passed[0, 5, 2, 2], by_hand)
    by_hand = torch.sigmoid((g[1, :, 1, 3] * g[1, :, 2, 4]).sum() / 16**0.5)
    torch.testing.assert_close(passed[1, 0, 1, 2], by_hand)
    # What lies outside agrees and disagrees with nothing.
    torch.testing.assert_close(passed[:, 0, 0], torch.full_like(passed[:, 0, 0], 0.5))


def test_the_page_about_suppression_computes_the_same():
    page = (Path(__file__).parents[2] / "docs" / "hifacegan.md").read_text(encoding="utf-8")
    written = {}
    exec(page.split("```python\n")[1].split("```")[0], written)
    stage = AdaptiveSuppression(5, 7)
    for size in [(8, 8), (9, 12)]:
        x = torch.randn(2, 5, *size)
        explained = written["suppress"](x, stage.convolution.weight, stage.gate.describe)
        torch.testing.assert_close(explained, stage(x), rtol=0, atol=1e-6)


def test_suppression_with_an_even_gate_is_half_the_plain_convolution():
    stage = AdaptiveSuppression(4, 6)
    nn.init.zeros_(stage.gate.describe[2].weight)
    nn.init.zeros_(stage.gate.describe[2].bias)
    x = torch.randn(1, 4, 9, 9)
    plain = F.conv2d(x, stage.convolution.weight, stride=2, padding=1)
    torch.testing.assert_close(stage(x), plain / 2)


def test_lip_weights_a_mean_by_importance():
    stage = LipSuppression(2, 2)
    nn.init.dirac_(stage.convolution.weight)
    x = torch.randn(1, 2, 8, 8)
    nn.init.zeros_(stage.logit[0].weight)
    even = F.avg_pool2d(x, 3, 2, 1) / F.avg_pool2d(torch.ones_like(x), 3, 2, 1)
    torch.testing.assert_close(stage(x), even)
    nn.init.dirac_(stage.logit[0].weight)
    nn.init.constant_(stage.logit[1].weight, 50)  # an unusual value outvotes all its neighbours
    rare = (torch.rand(1, 2, 32, 32) < 0.1).float()
    torch.testing.assert_close(stage(rare), F.max_pool2d(rare, 3, 2, 1), rtol=0, atol=1e-3)


def test_spade_scales_and_shifts_by_the_guide():
    spade = Spade(6, 4)
    x, guide = torch.randn(2, 6, 5, 7), torch.randn(2, 4, 5, 7)
    normed = F.instance_norm(x)
    nn.init.zeros_(spade.gamma.weight)
    nn.init.zeros_(spade.beta.weight)
    torch.testing.assert_close(spade(x, guide), normed)
    nn.init.normal_(spade.gamma.weight)
    nn.init.normal_(spade.beta.weight)
    read = F.relu(F.conv2d(guide, spade.shared.weight, spade.shared.bias, padding=1))
    gamma, beta = (F.conv2d(read, part.weight, padding=1) for part in (spade.gamma, spade.beta))
    torch.testing.assert_close(spade(x, guide), normed * (1 + gamma) + beta)


def test_convolutions_of_a_spade_block_have_singular_values_up_to_one():
    def largest(layer):
        layer.eval()  # in training mode every use of the weight is a step of the iteration
        return torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()

    block = SpadeBlock(12, 8, 4)
    for layer in (block.convolution_1, block.convolution_2, block.past):
        assert largest(layer) == pytest.approx(1, abs=0.01)
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
        image = torch.randn(1, layer.in_channels, 6, 6)
        layer.train()
        for _ in range(20):
            (-layer(image).square().mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
        moved = largest(layer)
        for _ in range(50):
            layer(image)
        assert largest(layer) == moved  # evaluation changes nothing
        layer.train()
        for _ in range(50):
            layer(image)
        assert abs(largest(layer) - 1) < min(abs(moved - 1), 0.01)


@pytest.mark.parametrize("size", [(64, 64), (65, 200)])
def test_a_correction_starts_from_the_coarse_colours(size):
    net = HiFaceGAN(width=4, predict="correction")
    flat = torch.tensor([0.9, 0.4, 0.1]).view(1, 3, 1, 1).expand(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(net(flat), flat, rtol=0, atol=0.05)
    picture = torch.rand(1, 3, *size)
    nn.init.zeros_(net.last.weight)
    with torch.no_grad():
        restored = net(picture)
        assert restored.std() < picture.std() / 5  # nothing fine is left
    net = HiFaceGAN(width=4, predict="correction")
    net(torch.ones(1, 3, *size)).mean().backward()  # white would stop gradients, were it all of it
    assert net.last.bias.grad.abs().min() > 0.01


@pytest.mark.parametrize(("predict", "kept"), [("image", 0), ("correction", 1)])
def test_only_a_correction_knows_how_bright_a_picture_is(predict, kept):
    """The norms take it away: why `predict` is there."""
    net = HiFaceGAN(width=4, predict=predict)
    dark = 0.1 + 0.4 * torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        brighter = (net(dark + 0.4) - net(dark)).mean().item()
    assert brighter == pytest.approx(0.4 * kept, abs=0.02)
