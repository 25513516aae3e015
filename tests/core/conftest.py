"""What the tests of whole runs share."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment
from frx.interruption import Interrupted
from frx.recipe import Recipe, load


@pytest.fixture
def recipe_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The recipe TINY of the test's module, as a file."""
    path = tmp_path / "tiny.toml"
    path.write_text(request.module.TINY)
    return path


@pytest.fixture
def recipe(recipe_file: Path) -> Recipe:
    return load(recipe_file)


@pytest.fixture
def bytes_of() -> Callable[[Path], dict[str, Any]]:
    """All of a run folder that a break must not change."""

    def read(folder: Path) -> dict[str, Any]:
        generations = json.loads((folder / "checkpoints/manifest.json").read_bytes())["generations"]
        names = ("log.jsonl", "scores.json", "scores.csv")
        return {
            **{path.name: path.read_bytes() for path in (folder / "model").iterdir()},
            **{name: (folder / name).read_text() for name in names},
            "checkpoint": {name: part["sha256"] for name, part in generations[-1]["parts"].items()},
        }

    return read


class StopAfter:
    """A signal that comes after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @property
    def number(self) -> int | None:
        self.steps -= 1
        return signal.SIGTERM if self.steps < 0 else None


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recipe, Path, int], Interrupted]:
    """Run a recipe on the CPU until the signal that comes after so many steps; what is raised."""

    def run(recipe: Recipe, folder: Path, steps: int) -> Interrupted:
        with monkeypatch.context() as patch:
            patch.setattr(experiment, "Interruption", lambda: StopAfter(steps))
            with pytest.raises(Interrupted) as caught:
                experiment.run(recipe, folder, torch.device("cpu"))
        return caught.value

    return run
