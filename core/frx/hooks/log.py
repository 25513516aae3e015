"""The log of a run: `log.jsonl`, a line every so many steps and a line a validation."""

from __future__ import annotations

import json
import os
from typing import Any

from attrs import Factory, define

from frx.hooks.running_means import RunningMeans
from frx.run import Run
from frx.specs import hookimpl

LOG = "log.jsonl"


@define(eq=False)
class Log:
    """Takes part in every run; its lines are what curves are drawn from.

    Losses are summed on the device and read every `every_steps`, so that no step waits for them.
    """

    every_steps: int = 20
    means: RunningMeans = Factory(RunningMeans)
    size: int = 0  # of the log, in bytes

    @hookimpl(tryfirst=True)
    def frx_run_start(self, run: Run) -> None:
        """Cut off what an interrupted run wrote after its last checkpoint."""
        path = run.folder / LOG
        path.touch()
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

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means.state_dict(), "size": self.size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means.load_state_dict(state["means"])
        self.size = state["size"]

    def _write_training(self, run: Run) -> None:
        if self.means.steps:
            self._write(run, "train", self.means.take())

    def _write(self, run: Run, kind: str, values: dict[str, float]) -> None:
        position = run.position
        epoch = position.epoch + position.batch / run.epoch_batches
        where = {"kind": kind, "stage": run.stage.name, "step": run.step, "epoch": round(epoch, 4)}
        line = {**where, **values}
        with (run.folder / LOG).open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            self.size = file.tell()
        run.hook.frx_logged(run=run, line=line)
