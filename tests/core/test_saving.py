"""Runs go on while a checkpoint is written, and say that it is there only when it is."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment, files
from frx.hooks.checkpoints import SaveCheckpoints
from frx.recipe import Recipe
from frx.run import Run
from frx.specs import hookimpl

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 16
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "unet"
width = 2

[[stages]]
name = "first"
epochs = 3
batch_size = 4
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 2
batch_size = 4
losses = [{ use = "l1" }]

[[metrics]]
use = "psnr"
"""
BATCHES = 4
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def saved_step(folder: Path) -> int:
    """After which step the newest checkpoint of a run was saved."""
    manifest = json.loads((folder / "checkpoints/manifest.json").read_bytes())
    step: int = manifest["generations"][-1]["step"]
    return step


class Witness:
    """Notes what happens in a run, and what its manifest says meanwhile."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        self.events.append(("step", run.step))

    @hookimpl
    def frx_checkpoint_saved(self, run: Run) -> None:
        self.events.append(("saved", saved_step(run.folder)))

    @hookimpl
    def frx_stage_end(self, run: Run) -> None:
        self.events.append(("stage end", run.step))


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    """One that takes part in all runs."""
    witness, build = Witness(), experiment.build_hooks
    monkeypatch.setattr(experiment, "build_hooks", lambda uses: {"it": witness, **build(uses)})
    return witness


def test_every_checkpoint_is_announced_once_when_it_is_on_disk(
    recipe: Recipe, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = files.fill_past_cache

    def slowly(path: Path, pages: memoryview, size: int) -> None:
        time.sleep(0.02)
        fill(path, pages, size)

    monkeypatch.setattr(files, "fill_past_cache", slowly)
    experiment.run(recipe, tmp_path / "run", CPU)
    saved = [step for event, step in witness.events if event == "saved"]
    assert saved == [BATCHES * epoch for epoch in (1, 2, 3, 4, 5)]
    for end in (3 * BATCHES, 5 * BATCHES):
        before = witness.events[: witness.events.index(("stage end", end))]
        assert before[-1] == ("saved", end)


def test_training_goes_on_while_a_checkpoint_is_written(
    recipe: Recipe, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, later = files.fill_past_cache, threading.Event()
    came = []

    def when_training_has_gone_on(path: Path, pages: memoryview, size: int) -> None:
        if len(came) < 1:
            came.append(later.wait(timeout=30))
        fill(path, pages, size)

    def release(run: Run) -> None:
        noted(run)
        if run.step == BATCHES + 3:
            later.set()

    noted = witness.frx_step_end
    monkeypatch.setattr(witness, "frx_step_end", hookimpl(release))
    monkeypatch.setattr(files, "fill_past_cache", when_training_has_gone_on)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert came == [True]
    assert witness.events.index(("saved", BATCHES)) > witness.events.index(("step", BATCHES + 3))


def test_a_run_that_a_signal_stops_is_saved_when_it_says_so(
    recipe: Recipe, tmp_path: Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = files.fill_past_cache

    def slowly(path: Path, pages: memoryview, size: int) -> None:
        time.sleep(0.2)
        fill(path, pages, size)

    monkeypatch.setattr(files, "fill_past_cache", slowly)
    stopped = stop_after(recipe, tmp_path / "run", BATCHES + 2)
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert f"stopped after step {saved_step(tmp_path / 'run')}, saved in" in str(stopped)


def test_when_something_else_ends_a_run_a_failed_save_is_a_warning(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = experiment.open_run(recipe, tmp_path / "run", CPU)
    run.begin_stage()
    hook: SaveCheckpoints = run.hooks["checkpoints"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoints").write_text("a file where the folder would be")
    hook.save(run)
    hook.close()
    assert "warning: " in capsys.readouterr().err
    hook.close()
    assert not capsys.readouterr().err
