"""The lengths of gradients in the log, held against how far plain descent went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frx import experiment
from frx.plots import draw_curves
from frx.recipe import Recipe, load
from frx.run import Run
from frx.specs import hookimpl

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
RATE = 0.125

# Plain descent: a step is the gradient times the learning rate.
TINY = f"""\
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

[[stages]]
name = "first"
epochs = 2
batch_size = 4
accumulate = 2
optimizer = {{ use = "sgd", lr = {RATE}, momentum = 0 }}
losses = [{{ use = "l1" }}]

[[stages]]
name = "second"
epochs = 1
batch_size = 4
optimizer = {{ use = "sgd", lr = {RATE}, momentum = 0 }}
losses = [{{ use = "l1" }}]

[stages.trainer]
use = "adversarial"
discriminator = {{ use = "patchgan", width = 4 }}
game = "vanilla"
generator_cadence = {{ every_batches = 4 }}

[[hooks]]
use = "curves"

[[hooks]]
use = "gradient_norms"
"""


class Steps:
    """Notes how far each network's weights have gone in each step."""

    def __init__(self) -> None:
        self.gone: dict[tuple[str, int, str], list[float]] = {}
        self.before: dict[str, NDArray[np.float64]] = {}

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        self.before = {name: flat(network.module) for name, network in run.networks.items()}

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        for name, network in run.networks.items():
            now = flat(network.module)
            if length := float(np.linalg.norm(now - self.before[name])):
                where = (run.stage.name, run.position.epoch + 1, name)
                self.gone.setdefault(where, []).append(length)
            self.before[name] = now


def flat(module: torch.nn.Module) -> NDArray[np.float64]:
    weights = [p.detach().numpy().astype(np.float64).ravel() for p in module.parameters()]
    return np.concatenate(weights)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps, build = Steps(), experiment.build_hooks
    monkeypatch.setattr(experiment, "build_hooks", lambda uses: {**build(uses), "steps": steps})
    return steps


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_log_has_the_mean_length_of_the_gradients_that_each_network_stepped_with(
    recipe: Recipe, steps: Steps, tmp_path: Path
) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    lines = [line for line in log_of(tmp_path / "run") if line["kind"] == "train"]
    assert len(lines) == 3
    assert {where: len(gone) for where, gone in steps.gone.items()} == {
        ("first", 1, "model"): 2,  # of 4 batches, as every second steps
        ("first", 2, "model"): 2,
        ("second", 1, "model"): 1,
        ("second", 1, "discriminator"): 4,
    }
    for line in lines:
        for name in ("model", "discriminator"):
            found = line.get(f"gradient norm {name}")
            gone = steps.gone.get((line["stage"], round(line["epoch"]), name))
            expected = None if gone is None else pytest.approx(np.mean(gone) / RATE, rel=1e-3)
            assert found == expected


def test_it_is_the_length_before_the_gradient_is_clipped(
    recipe_file: Path, steps: Steps, tmp_path: Path
) -> None:
    """A step of a hundredth of the length is no longer than that."""
    lines = ["stages.first.epochs=1", "stages.first.accumulate=4"]
    experiment.run(load(recipe_file, overrides=lines), tmp_path / "free", CPU)
    (free,) = steps.gone.pop(("first", 1, "model"))
    recipe = load(recipe_file, overrides=[*lines, "stages.first.clip_norm=1e-3"])
    experiment.run(recipe, tmp_path / "clipped", CPU)
    (clipped,) = steps.gone["first", 1, "model"]
    assert clipped == pytest.approx(RATE * 1e-3, rel=1e-2)
    for folder in ("free", "clipped"):
        norm = log_of(tmp_path / folder)[0]["gradient norm model"]
        assert norm == pytest.approx(free / RATE, rel=1e-3)


@pytest.mark.parametrize("steps", [1, 5, 9])
def test_stopped_anywhere_and_continued_the_log_is_the_same(
    steps: int, recipe: Recipe, tmp_path: Path, once: Path, stop_after: Any
) -> None:
    stop_after(recipe, tmp_path / "run", steps)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert log_of(tmp_path / "run") == log_of(once)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a break."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "tiny.toml").write_text(TINY)
    experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return folder / "run"


def test_its_curves_come_after_the_losses_and_are_logarithmic(once: Path, tmp_path: Path) -> None:
    draw_curves(once / "log.jsonl", tmp_path / "curves.svg")
    said = [
        line.strip().removeprefix("<!-- ").removesuffix(" -->")
        for line in (tmp_path / "curves.svg").read_text().splitlines()
        if line.strip().startswith("<!-- ")
    ]
    titles = [
        "loss",
        "adversarial",
        "discriminator",
        "l1",
        "gradient norm discriminator",
        "gradient norm model",
    ]
    assert [text for text in said if text in titles] == titles
    panel = said[said.index("l1") : said.index("gradient norm discriminator")]
    assert any("^{" in text for text in panel), panel  # ticks at powers of ten
