"""A check of what turns batches into steps: trainers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from frx import experiment
from frx.build import Use
from frx.recipe import Data, LossTerm, Recipe, Stage
from frx.registry import Component, find
from frx.run import Run, train
from frx.specs import hookimpl
from frx.testing.promises import Promises
from frx.testing.training import through_a_checkpoint

EPOCHS, BATCHES = 2, 2
State = dict[str, Any]


def check_trainer(trainer: type, **options: Any) -> None:
    """All networks that it declares learn, "model" among them, and a break of a run loses nothing.

    `trainer` is the class, `options` are what a recipe would give it. It trains a network of one
    layer for four steps, whole and broken off after each step.

    Raises:
        AssertionError: says which promise of `frx.Trainer` is broken.
    """
    promises = Promises.made_by(trainer)
    use = Use(_Given.of("trainer", trainer), options)
    first, wanted = _trained(promises, use)
    for name, weights in first.items():
        last = wanted["networks"][name]["weights"]
        promises.kept(
            not all(torch.equal(weights[key], last[key]) for key in weights),
            f"declares a network {name!r}, which has not learnt anything in four steps",
        )
    for steps in range(1, EPOCHS * BATCHES):
        _, broken = _trained(promises, use, stop_after=steps)
        _, continued = _trained(promises, use, state=through_a_checkpoint(broken))
        promises.kept(
            all(
                torch.equal(weight, continued["networks"][name]["weights"][key])
                for name, network in wanted["networks"].items()
                for key, weight in network["weights"].items()
            ),
            f"ends with other weights when it is broken off after step {steps} and goes on: it "
            "keeps something between steps that is in no checkpoint",
        )


class OneLayer(nn.Module):
    """The least that can learn."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, degraded: Tensor) -> Tensor:
        """Return [B, 3, H, W]."""
        corrected: Tensor = degraded + self.layer(degraded)
        return corrected


def absolute(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (restored - clean).abs().mean()


class Watching:
    """Breaks off after so many steps, and looks at what each step logs."""

    def __init__(self, *, stop_after: int | None) -> None:
        self.stop_after = stop_after

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        """Look, and break off."""
        promises = Promises(run.stage.trainer.name)
        for name, value in run.log.items():
            promises.kept(
                isinstance(value, Tensor) and value.shape == () and torch.isfinite(value),
                f"logs {name!r} as {value!r}; one finite number, a tensor [], is wanted",
            )
        if run.step == self.stop_after:
            raise _BrokenOff


class _BrokenOff(Exception):
    """So many steps were taken."""


@frozen(slots=False)
class _Given(Component):
    """A component that is at hand: nothing is imported."""

    at_hand: Any = None

    @classmethod
    def of(cls, kind: str, at_hand: Any) -> _Given:
        return cls(kind, at_hand.__name__, at_hand.__name__, "tested", "0", at_hand=at_hand)

    def load(self, notice: Any = None) -> Any:
        return self.at_hand


def _trained(
    promises: Promises, use: Use, *, stop_after: int | None = None, state: State | None = None
) -> tuple[dict[str, dict[str, Tensor]], State]:
    """Weights by network at the beginning, and the run's state at its end."""
    with tempfile.TemporaryDirectory() as folder, promises.no_error("a run of four steps"):
        run = experiment.open_run(_recipe(use, stop_after), Path(folder), torch.device("cpu"))
        run.begin_stage()
        promises.kept("model" in run.networks, 'declares no network called "model"')
        promises.kept(
            run.networks["model"].module is run.model,
            'declares another network as "model" than the one that it was given',
        )
        first = {
            name: {k: v.clone() for k, v in network.module.state_dict().items()}
            for name, network in run.networks.items()
        }
        if state is not None:
            run.load(state, None)
        try:
            train(run)
        except _BrokenOff:
            pass
        finally:
            run.hooks["progress"].close()
        run.hooks["checkpoints"].close()
        return first, run.state()


def _recipe(use: Use, stop_after: int | None) -> Recipe:
    dataset = Use(find("dataset", "synthetic_faces"), {"count": 8, "size": 16})
    adam = Use(find("optimizer", "adam"), {})
    return Recipe(
        name="tested",
        data=Data(dataset=dataset, split=(0.5, 0.25, 0.25)),
        model=Use(_Given.of("model", OneLayer), {}),
        stages=[
            Stage(
                name="only",
                epochs=EPOCHS,
                batch_size=4 // BATCHES,
                trainer=use,
                losses=[LossTerm(loss=Use(_Given.of("loss", absolute), {}))],
                optimizer=adam,
                schedule=Use(find("schedule", "constant"), {}),
            )
        ],
        degradations=[Use(find("degradation", "gaussian_noise"), {})],
        hooks=[Use(_Given.of("hook", Watching), {"stop_after": stop_after})],
    )
