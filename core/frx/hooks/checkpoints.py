"""Checkpoints of a run: after every epoch, every few minutes, and when a signal comes."""

from __future__ import annotations

import time
from typing import Any

from attrs import define, field

from frx.checkpoint import Checkpoints
from frx.interruption import Interrupted, Interruption
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False)
class SaveCheckpoints:
    """Takes part in every run, after all other hooks, so that their state is as it should be."""

    checkpoints: Checkpoints
    interruption: Interruption
    every_s: float = 120.0
    saved_at: float = field(factory=time.monotonic)

    @hookimpl(trylast=True)
    def frx_step_end(self, run: Run) -> None:
        """Save when it is time; stop when a signal has come."""
        signal = self.interruption.number
        if signal is not None or time.monotonic() - self.saved_at > self.every_s:
            self.save(run)
        self._stop(run, signal)

    @hookimpl(trylast=True)
    def frx_epoch_end(self, run: Run) -> None:
        """Save; a signal may have come while the epoch was validated."""
        signal = self.interruption.number
        self.save(run)
        self._stop(run, signal)

    def _stop(self, run: Run, signal: int | None) -> None:
        if signal is not None:
            raise Interrupted(
                signal,
                f"stopped after step {run.step}, saved in {self.checkpoints.folder}; "
                "the same command goes on",
            )

    def save(self, run: Run) -> None:
        """Make a checkpoint; the best weights only when they are new."""
        parts: dict[str, Any] = {"state": run.state()}
        if run.best_changed:
            parts["best"] = run.best_weights
        self.checkpoints.save(run.step, parts)
        run.best_changed = False
        self.saved_at = time.monotonic()
        run.hook.frx_checkpoint_saved(run=run)
