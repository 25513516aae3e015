"""The log of a run: `log.jsonl`, a line every so many steps and a line a validation."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import Factory, define

from frx import files
from frx.errors import ResourceError
from frx.hooks.running_means import RunningMeans
from frx.progress import say
from frx.run import Run
from frx.specs import hookimpl

LOG = "log.jsonl"


@define(eq=False)
class Log:
    """Takes part in every run; its lines are what curves are drawn from.

    Losses are summed on the device and read every `every_steps`, so that no step waits for them.
    Lines for which the disk has no room wait until it has, at the latest to the stage's end.
    """

    every_steps: int = 20
    means: RunningMeans = Factory(RunningMeans)
    size: int = 0  # of the log, in bytes
    waiting: str = ""  # lines that are not in it yet
    _path: Path | None = None

    @hookimpl(tryfirst=True)
    def frx_run_start(self, run: Run) -> None:
        """Cut off what an interrupted run wrote after its last checkpoint."""
        self._path = path = run.folder / LOG
        with files.failing_clearly(path):
            path.touch()
            there = path.stat().st_size
            if there < self.size:
                say(f"warning: {path}: lines are missing, and curves will lack them")
            self.size = min(self.size, there)
            os.truncate(path, self.size)

    @hookimpl(tryfirst=True)
    def frx_step_end(self, run: Run) -> None:
        """Add the step's losses up."""
        self.means.add(run.log)
        if self.means.steps == self.every_steps:
            self._write_training(run)

    @hookimpl(tryfirst=True)
    def frx_validation_end(self, run: Run) -> None:
        """Write what training has left over, then the validation."""
        self._write_training(run)
        self._write(run, "val", run.validation)

    @hookimpl(tryfirst=True)
    def frx_stage_end(self, run: Run) -> None:
        """Write what could not be written so far."""
        self._append(run)

    def state_dict(self) -> dict[str, Any]:
        if self._path is not None:
            with suppress(OSError), self._path.open("rb+") as file:
                os.fsync(file.fileno())  # a power cut must not leave less than a checkpoint knows
        return {"means": self.means.state_dict(), "size": self.size, "waiting": self.waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means.load_state_dict(state["means"])
        self.size, self.waiting = state["size"], state["waiting"]

    def _write_training(self, run: Run) -> None:
        if self.means.steps:
            self._write(run, "train", self.means.take())

    def _write(self, run: Run, kind: str, values: dict[str, float]) -> None:
        position = run.position
        epoch = position.epoch + position.batch / run.epoch_batches
        where = {"kind": kind, "stage": run.stage.name, "step": run.step, "epoch": round(epoch, 4)}
        line = {**where, **values}
        self.waiting += json.dumps(line) + "\n"
        with suppress(ResourceError):  # its checkpoints say that the disk is full
            self._append(run)
        run.hook.frx_logged(run=run, line=line)

    def _append(self, run: Run) -> None:
        path, raw = run.folder / LOG, self.waiting.encode()
        with files.failing_clearly(path, len(raw)), path.open("rb+") as file:
            file.truncate(self.size)  # what an earlier try could not write whole
            file.seek(self.size)
            file.write(raw)
            file.flush()
            self.size, self.waiting = self.size + len(raw), ""
