"""timm's optimisers by name: right steps, clear refusals, and nothing lost in a break."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from frx import experiment
from frx.build import converter_for
from frx.checkpoint import pack, unpack
from frx.network import Network
from frx.optimizers.adamw import adamw
from frx.optimizers.timm import Timm
from frx.recipe import Recipe
from frx.specs import Optimizer
from frx.testing import check_optimizer

TINY = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 24
count = 20
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
predict = "correction"
[[stages]]
name = "only"
epochs = 3
batch_size = 4
optimizer = { use = "timm", name = "lamb", lr = 1e-2, weight_decay = 0.02 }
schedule = { use = "cosine" }
losses = [{ use = "l1" }]
[[metrics]]
use = "psnr"
"""
CPU = torch.device("cpu")
POPULAR = ["adan", "lion", "lamb", "nadamw", "radam", "adabelief", "adopt", "mars", "muon"]


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 3, 3, padding=1),
        )
    return layers.to(memory_format=torch.channels_last)


def learning(module: nn.Module, rule: Optimizer) -> Network:
    return Network(module, rule(module.parameters()), [])


def train(learns: Network, steps: range) -> None:
    for number in steps:
        picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(number))
        learns.optimizer.zero_grad()
        (learns.module(picture) - picture.flip(-1)).square().mean().backward()
        learns.optimizer.step()


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


@pytest.mark.parametrize("name", [*POPULAR, "adafactor", "sgd", "lars", "madgrad", "cadamw"])
def test_each_keeps_the_promises_of_optimisers(name: str) -> None:
    check_optimizer(Timm(name=name, lr=1e-3))


@pytest.mark.parametrize("name", POPULAR)
def test_after_a_break_its_steps_are_the_same_to_the_bit(name: str) -> None:
    rule = Timm(name=name, lr=1e-3, weight_decay=0.1)
    whole, continued = learning(network(), rule), learning(network(), rule)
    train(whole, range(12))
    tree, tensors = pack(whole.state())
    kept = unpack(json.loads(json.dumps(tree)), {k: t.clone() for k, t in tensors.items()})
    train(whole, range(12, 24))
    continued.load(kept)
    train(continued, range(12, 24))
    assert all(map(torch.equal, weights(whole.module), weights(continued.module)))


def test_a_run_that_was_stopped_goes_on_with_the_same_bytes(
    recipe: Recipe, tmp_path: Path, bytes_of: Any, stop_after: Any
) -> None:
    experiment.run(recipe, tmp_path / "whole", CPU)
    stop_after(recipe, tmp_path / "broken", 6)
    experiment.run(recipe, tmp_path / "broken", CPU)
    assert bytes_of(tmp_path / "broken") == bytes_of(tmp_path / "whole")
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    rates = [json.loads(line)["lr"] for line in lines if "lr" in json.loads(line)]
    assert rates == sorted(rates, reverse=True), "the schedule does not reach it"


def test_adamw_of_timm_takes_torchs_own_steps() -> None:
    ours = learning(network(), Timm(name="adamw", lr=2e-3, weight_decay=0.05))
    theirs = learning(network(), partial(adamw, lr=2e-3, weight_decay=0.05))
    for learns in (ours, theirs):  # what a norm takes out has no gradient but rounding
        learns.module[0].bias.requires_grad_(False)
    train(ours, range(5))
    train(theirs, range(5))
    for one, other in zip(weights(ours.module), weights(theirs.module), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
@pytest.mark.parametrize("name", ["adamw", "lion", "nadamw"])
def test_weight_decay_is_applied_once_to_matrices_and_vectors(name: str, shape: tuple[int]) -> None:
    weight = nn.Parameter(torch.ones(shape))
    optimizer = Timm(name=name, lr=0.1, weight_decay=0.2)([weight])
    weight.grad = torch.zeros(shape)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full(shape, 1 - 0.1 * 0.2))


def test_options_reach_the_optimiser_and_others_stay_its_own() -> None:
    weight = [nn.Parameter(torch.ones(2, 2))]
    given = Timm(name="adan", lr=3e-3, betas=[0.9, 0.8, 0.7], eps=1e-5)(weight).param_groups[0]
    assert (given["lr"], given["eps"]) == (3e-3, 1e-5)
    assert given["betas"] == (0.9, 0.8, 0.7)
    own = Timm(name="adan")(weight).param_groups[0]
    assert own["betas"] == (0.98, 0.92, 0.99)  # as in the paper, where they are written 1 − β
    assert Timm(name="SGD", momentum=0.5)(weight).param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "adna"}, r"timm has no optimiser 'adna'; did you mean adan"),
        ({"name": "qqq"}, r"timm has no optimiser 'qqq'; adan, lion and lamb are some it has"),
        ({"name": "lion", "eps": 1e-8}, "lion has no eps; it has betas"),
        ({"name": "lamb", "momentum": 0.9}, "lamb has no momentum; it has betas, eps"),
        ({"name": "adan", "betas": [0.9, 0.99]}, "adan has 3 betas, not 2"),
        ({"name": "adam", "betas": [0.9, 1.5]}, "Invalid beta"),
        ({"name": "adahessian"}, "adahessian needs second derivatives"),
        ({"name": "lookahead_adam"}, "lookahead_adam keeps .*; adam alone can be used"),
        ({"name": "kron"}, "kron draws at random .* could not go on exactly"),
        ({"name": "adafactorbv"}, "adafactorbv keeps a number format"),
        ({"name": "fusedlamb"}, "fusedlamb is the package apex's; only timm's own can be used"),
    ],
)
def test_what_cannot_be_is_refused_while_the_recipe_is_read(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as direct:
        Timm(**options)
    assert "\n" not in str(direct.value)
    read = converter_for(["optimizer"])
    with pytest.raises(Exception, match=sentence):
        read.structure({"use": "timm", **options}, Optimizer)


def test_all_the_others_can_be_made() -> None:
    from timm.optim import list_optimizers

    made = []
    for name in list_optimizers():
        try:
            Timm(name=name)([nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3))])
        except ValueError:
            continue
        made.append(name)
    assert set(POPULAR) < set(made)
    assert len(made) > 60
