"""Checkpoints of a run: after every epoch, every few minutes, and when a signal comes."""

from __future__ import annotations

import time
from typing import Any

from attrs import define, field

from frx import ranks
from frx.checkpoint import Checkpoints
from frx.errors import FrxError
from frx.interruption import Interrupted, Interruption
from frx.progress import say
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False)
class SaveCheckpoints:
    """Takes part in every run, after all other hooks, so that their state is as it should be.

    Where several processes train, all stop and save after the same step; rank 0 writes.
    """

    checkpoints: Checkpoints
    interruption: Interruption
    every_s: float = 120.0
    saved_at: float = field(factory=time.monotonic)
    _to_announce: bool = field(default=False, init=False)

    @hookimpl(trylast=True)
    def frx_step_end(self, run: Run) -> None:
        """Save when it is time; stop when a signal has come."""
        is_late = time.monotonic() - self.saved_at > self.every_s
        signal, to_save = ranks.largest(self.interruption.number or 0, is_late)
        self._announce(run)
        if signal or to_save:
            self.save(run)
        self._stop(run, signal)

    @hookimpl(trylast=True)
    def frx_epoch_end(self, run: Run) -> None:
        """Save; a signal may have come while the epoch was validated."""
        (signal,) = ranks.largest(self.interruption.number or 0)
        self.save(run)
        self._stop(run, signal)

    @hookimpl(tryfirst=True)
    def frx_stage_end(self, run: Run) -> None:
        """Wait for the stage's last checkpoint."""
        self._announce(run, wait=True)

    def save(self, run: Run) -> None:
        """Make a checkpoint; the best weights only when they are new.

        Raises:
            ResourceError: the one before it could not be written.
        """
        self._announce(run, wait=True)
        parts: dict[str, Any] = {"state": run.state()}
        if run.best_changed:
            parts["best"] = run.best_weights
        if ranks.rank() == 0:
            self.checkpoints.save(run.step, parts)
        run.best_changed = False
        self.saved_at = time.monotonic()
        self._to_announce = True

    def close(self) -> None:
        """Wait for what is being written when something else has ended the run."""
        try:
            self.checkpoints.wait()
        except FrxError as error:
            say(f"warning: {error}")

    def _announce(self, run: Run, *, wait: bool = False) -> None:
        """Tell the other hooks, once it is on disk, that a checkpoint was saved."""
        if self._to_announce and (wait or not self.checkpoints.is_writing):
            self._to_announce = False
            self.checkpoints.wait()
            run.hook.frx_checkpoint_saved(run=run)

    def _stop(self, run: Run, signal: int) -> None:
        if signal:
            self._announce(run, wait=True)
            ranks.from_first(None)  # one that ended now would have the launcher end them all
            raise Interrupted(
                signal,
                f"stopped after step {run.step}, saved in {self.checkpoints.folder}; "
                "the same command goes on",
            )
