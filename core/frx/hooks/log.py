"""The log of a run: `log.jsonl`, a line every so many steps and a line a validation."""

from __future__ import annotations

import json
import os
from typing import Any

from attrs import Factory, define
from torch import Tensor

from frx.run import Run
from frx.specs import hookimpl

LOG = "log.jsonl"


@define(eq=False)
class Log:
    """Takes part in every run; its lines are what curves are drawn from.

    Losses are summed on the device and read every `every_steps`, so that no step waits for them.
    """

    every_steps: int = 20
    sums: dict[str, Tensor] = Factory(dict)
    steps: int = 0
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
        for name, value in run.log.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach()
        self.steps += 1
        if self.steps == self.every_steps:
            self._write_training(run)

    @hookimpl(tryfirst=True)
    def frx_validation_end(self, run: Run) -> None:
        """Write what training has left over, then the validation."""
        self._write_training(run)
        self._write(run, "val", run.validation)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "steps": self.steps, "size": self.size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.steps, self.size = state["sums"], state["steps"], state["size"]

    def _write_training(self, run: Run) -> None:
        if self.steps:
            means = {name: total.item() / self.steps for name, total in self.sums.items()}
            self._write(run, "train", means)
        self.sums, self.steps = {}, 0

    def _write(self, run: Run, kind: str, values: dict[str, float]) -> None:
        position = run.position
        epoch = position.epoch + position.batch / run.epoch_batches
        line = {"kind": kind, "stage": run.stage.name, "step": run.step, "epoch": round(epoch, 4)}
        with (run.folder / LOG).open("ab") as file:
            file.write(json.dumps({**line, **values}).encode() + b"\n")
            self.size = file.tell()
