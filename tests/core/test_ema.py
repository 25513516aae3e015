"""Moving averages of the weights: which numbers they are, who sees them, what a break leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from frx import experiment
from frx.checkpoint import Checkpoints
from frx.errors import RecipeError
from frx.recipe import Recipe, load
from frx.run import Run
from frx.specs import hookimpl

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")

# Two stages, gradients of several batches, a network with running statistics, and an adversary.
TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 24
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "pix2pix_unet"
levels = 2
width = 4

[[stages]]
name = "first"
epochs = 2
batch_size = 4
accumulate = 3
optimizer = { use = "adam", lr = 1e-3 }
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 2
batch_size = 4
start_from = "last"
optimizer = { use = "adam", lr = 1e-3 }
losses = [{ use = "l1" }]
optimizers.discriminator = { use = "sgd", lr = 1e-3 }

[stages.trainer]
use = "adversarial"
discriminator = { use = "patchgan", width = 4 }
game = "vanilla"
generator_cadence = { every_batches = 2 }

[[hooks]]
use = "samples"

[[hooks]]
use = "ema"
decay = 0.3
"""


Weights = dict[str, NDArray[Any]]


def weights(module: torch.nn.Module) -> Weights:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


class Spy:
    """Notes the weights that each step of the optimiser leaves, and those that others are shown."""

    def __init__(self) -> None:
        self.steps: list[list[Weights]] = []  # of each stage, beginning with what it starts from
        self.taken: list[int] = []  # steps of the optimiser by the end of each epoch of the stage
        self.shown: dict[tuple[str, int, str], Weights] = {}

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        network = run.networks["model"]
        steps = [weights(network.module)]
        self.steps.append(steps)
        network.optimizer.register_step_post_hook(
            lambda *given: steps.append(weights(network.module))
        )

    def note(self, run: Run, event: str) -> None:
        where = (run.stage.name, run.position.epoch, event)
        self.shown[where] = weights(run.networks["model"].module)

    @hookimpl
    def frx_epoch_trained(self, run: Run) -> None:
        self.taken.append(len(self.steps[-1]) - 1)
        self.note(run, "trained")

    @hookimpl
    def frx_validation_end(self, run: Run) -> None:
        self.note(run, "validation")

    @hookimpl
    def frx_epoch_end(self, run: Run) -> None:
        self.note(run, "end")

    @hookimpl
    def frx_checkpoint_saved(self, run: Run) -> None:
        parts, _ = Checkpoints(run.folder / "checkpoints").load()
        assert parts is not None
        state = parts["state"]
        stage = run.recipe.stages[state["position"]["stage"]].name
        kept = state["networks"]["model"]["weights"]
        self.shown[stage, state["position"]["epoch"], "saved"] = {
            name: value.numpy() for name, value in kept.items()
        }


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return listening(monkeypatch)


def listening(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """One that takes part in all runs from now on."""
    spy, build = Spy(), experiment.build_hooks
    monkeypatch.setattr(experiment, "build_hooks", lambda uses: {"spy": spy, **build(uses)})
    return spy


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Spy]:
    """A run without a break."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "tiny.toml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        spy = listening(patch)
        experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return folder / "run", spy


def averaged(steps: list[Weights], decay: float) -> Weights:
    """By the formula, in double precision; what is no fraction is the last value."""
    average = {name: value.astype(np.float64) for name, value in steps[0].items()}
    for t, now in enumerate(steps[1:], start=1):
        kept = min(decay, (1 + t) / (10 + t))
        for name, value in now.items():
            moved = kept * average[name] + (1 - kept) * value
            average[name] = moved if value.dtype == np.float32 else value
    return average


def trained(given: Weights) -> list[str]:
    """The names of what the optimiser moves; running statistics are moved by each batch."""
    return [name for name in given if name.endswith(("weight", "bias"))]


def assert_same(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=1e-7, err_msg=name)


def test_what_is_exported_is_the_average_over_the_steps_of_the_optimiser(
    once: tuple[Path, Spy],
) -> None:
    folder, spy = once
    # 4 batches an epoch: every third steps in the first stage, every second in the second.
    assert spy.taken == [1, 2, 2, 4]
    first, second = spy.steps
    about = json.loads((folder / "model/model.json").read_bytes())
    taken = spy.taken[1 + about["epoch"]]
    assert about["stage"] == "second"
    exported = safetensors.torch.load_file(folder / "model/model.safetensors")
    found = {name: value.numpy() for name, value in exported.items()}
    assert_same(found, averaged(second[: 1 + taken], 0.3))
    counters = [name for name in found if name.endswith("num_batches_tracked")]
    assert counters
    assert all(found[name] == second[taken][name] for name in counters)
    assert not np.allclose(found["encoder.0.weight"], second[taken]["encoder.0.weight"], atol=1e-5)
    for name in trained(first[-1]):  # the next stage goes on from the weights, not the average
        np.testing.assert_array_equal(second[0][name], first[-1][name])


def test_from_its_last_batch_to_its_end_an_epoch_shows_the_average_and_keeps_the_weights(
    once: tuple[Path, Spy],
) -> None:
    _, spy = once
    stages = [("first", 1, 0), ("first", 2, 0), ("second", 1, 1), ("second", 2, 1)]
    for (stage, epoch, number), taken in zip(stages, spy.taken, strict=True):
        steps = spy.steps[number][: 1 + taken]
        for event in ("trained", "validation", "end"):
            assert_same(spy.shown[stage, epoch, event], averaged(steps, 0.3))
        for name in trained(steps[-1]):
            saved = spy.shown[stage, epoch, "saved"][name]
            np.testing.assert_array_equal(saved, steps[-1][name])


def test_a_stage_that_starts_from_the_best_starts_from_the_average(
    recipe_file: Path, spy: Spy, tmp_path: Path
) -> None:
    recipe = load(recipe_file, overrides=["stages.second.start_from=best"])
    experiment.run(recipe, tmp_path / "run", CPU)
    first, second = spy.steps
    kept = [averaged(first[: 1 + taken], 0.3) for taken in spy.taken[:2]]
    best = json.loads((tmp_path / "run/run.json").read_bytes())["stages"][0]["best_epoch"]
    assert_same(second[0], kept[best - 1])


def test_training_goes_on_as_it_would_have_without_an_average(
    once: tuple[Path, Spy], recipe_file: Path, tmp_path: Path
) -> None:
    without = tmp_path / "without"
    text = recipe_file.read_text()
    recipe_file.write_text(text[: text.index('[[hooks]]\nuse = "ema"')])
    experiment.run(load(recipe_file), without, CPU)
    states = []
    for folder in (once[0], without):
        parts, _ = Checkpoints(folder / "checkpoints").load()
        assert parts is not None
        states.append(parts["state"]["networks"])
    one, other = ({**s["model"]["weights"], **s["discriminator"]["weights"]} for s in states)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert states[0]["model"]["optimizer"].keys() == states[1]["model"]["optimizer"].keys()


@pytest.mark.parametrize("steps", [1, 4, 7, 10, 15])
def test_stopped_anywhere_and_continued_the_bytes_are_the_same(
    steps: int,
    recipe: Recipe,
    tmp_path: Path,
    once: tuple[Path, Spy],
    bytes_of: Callable[[Path], dict[str, Any]],
    stop_after: Any,
) -> None:
    stop_after(recipe, tmp_path / "broken", steps)
    experiment.run(recipe, tmp_path / "broken", CPU)
    assert bytes_of(tmp_path / "broken") == bytes_of(once[0])


def test_nothing_is_averaged_until_something_has_been_learnt(
    recipe_file: Path, spy: Spy, tmp_path: Path
) -> None:
    """More batches are gathered than an epoch has: its average is what the stage starts from."""
    recipe = load(recipe_file, overrides=["stages.first.accumulate=5"])
    experiment.run(recipe, tmp_path / "run", CPU)
    start, shown = spy.steps[0][0], spy.shown["first", 1, "validation"]
    for name in trained(start):
        np.testing.assert_array_equal(shown[name], start[name])


def test_where_weights_jump_about_their_average_is_better(
    recipe_file: Path, tmp_path: Path
) -> None:
    """A learning rate far too high, constant to the end."""
    losses = []
    for decay in (0.0, 0.99):
        lines = (
            "hooks.samples.every_epochs=9",
            f"hooks.ema.decay={decay}",
            "stages.first.accumulate=1",
            "stages.first.epochs=6",
            "stages.second.epochs=1",
            "stages.first.optimizer.lr=0.05",
        )
        recipe = load(recipe_file, overrides=lines)
        folder = tmp_path / str(decay)
        experiment.run(recipe, folder, CPU)
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        found = [line["loss"] for line in log if (line["kind"], line["stage"]) == ("val", "first")]
        losses.append(np.mean(found[2:]))
    assert losses[1] < losses[0]


@pytest.mark.parametrize("decay", ["1", "-0.1", '"much"'])
def test_a_decay_that_would_never_take_anything_in_is_refused(
    decay: str, recipe_file: Path
) -> None:
    with pytest.raises(RecipeError, match="decay"):
        load(recipe_file, overrides=[f"hooks.ema.decay={decay}"])
