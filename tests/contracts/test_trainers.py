from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from frx import experiment
from frx.build import Use
from frx.interruption import Interrupted
from frx.loader import Batch
from frx.recipe import Recipe
from frx.run import Run
from frx.testing import check_trainer

KIND = "trainer"
CPU = torch.device("cpu")


def trained_by(use: Use, recipe: Recipe) -> Recipe:
    return attrs.evolve(recipe, stages=[attrs.evolve(recipe.stages[0], trainer=use)])


def test_every_trainer_keeps_its_promises(use: Use) -> None:
    check_trainer(use.component.load(), **use.options)


@pytest.mark.parametrize("steps", [1, 3])
def test_no_trainer_keeps_state_that_a_break_would_lose(
    steps: int, use: Use, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after a step and continued, the weights are the same bytes."""
    class_ = use.component.load()
    step, taken = class_.step, []

    def signalled(self: Any, run: Run, batch: Batch) -> dict[str, Tensor]:
        taken.append(1)
        if len(taken) == steps:
            signal.raise_signal(signal.SIGTERM)
        return step(self, run, batch)

    wanted = trained_by(use, recipe)
    experiment.run(wanted, tmp_path / "whole", CPU)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # should nobody listen, pytest lives on
    try:
        with monkeypatch.context() as patch:
            patch.setattr(class_, "step", signalled)
            with pytest.raises(Interrupted):
                experiment.run(wanted, tmp_path / "broken", CPU)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(taken) == steps
    experiment.run(wanted, tmp_path / "broken", CPU)
    whole, broken = (
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("whole", "broken")
    )
    assert whole == broken
