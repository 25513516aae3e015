"""Checkpoints of a run: after every epoch, every few minutes, and when a signal comes."""

from __future__ import annotations

import time
from typing import Any

from attrs import define, field

from frx import ranks
from frx.checkpoint import Checkpoints, size_of
from frx.errors import FrxError, ResourceError
from frx.interruption import Interrupted, Interruption
from frx.network import weights
from frx.progress import say
from frx.run import Run
from frx.specs import hookimpl

FAILURES = 3  # in a row, that end a run


@define(eq=False)
class SaveCheckpoints:
    """Takes part in every run, after all other hooks, so that their state is as it should be.

    A checkpoint that cannot be written is said, and the next one tries again; the third in a row
    ends the run, and so does a stage's last one, or that of a signal. Where several processes
    train, all stop and save after the same step; rank 0 writes.
    """

    checkpoints: Checkpoints
    interruption: Interruption
    every_s: float = 120.0
    saved_at: float = field(factory=time.monotonic)
    began: float = field(factory=time.monotonic)  # when it would have been without a break
    _to_announce: bool = field(default=False, init=False)
    _with_best: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)

    @hookimpl(trylast=True)
    def frx_stage_start(self, run: Run) -> None:
        """See that the stage's checkpoints will fit onto the disk, as Adam would have them."""
        size = size_of({"state": run.state(), "best": run.best_weights or weights(run.model)})
        for network in run.networks.values():
            if not network.optimizer.state:
                size += 2 * sum(each.nbytes for each in network.parameters)
        if ranks.rank() == 0:
            self.checkpoints.require_room(size)

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
        self._announce(run, last=True)

    def save(self, run: Run) -> None:
        """Make a checkpoint; the best weights only when they are new.

        Raises:
            ResourceError: the one before it could not be written, nor those before that.
        """
        self._announce(run, wait=True)
        parts: dict[str, Any] = {"state": run.state()}
        if run.best_changed:
            parts["best"] = run.best_weights
        if ranks.rank() == 0:
            self.checkpoints.save(run.step, parts, time.monotonic() - self.began)
        self._with_best, run.best_changed = run.best_changed, False
        self.saved_at = time.monotonic()
        self._to_announce = True

    def close(self) -> None:
        """Wait for what is being written when something else has ended the run."""
        try:
            self.checkpoints.wait()
        except FrxError as error:
            say(f"warning: {error}")

    def _announce(self, run: Run, *, wait: bool = False, last: bool = False) -> None:
        """Tell the other hooks, once it is on disk, that a checkpoint was saved.

        Raises:
            ResourceError: it was not, and is the `last` one, or one failure too many.
        """
        if not self._to_announce or not (wait or last or not self.checkpoints.is_writing):
            return
        self._to_announce = False
        try:
            self.checkpoints.wait()
        except ResourceError as error:
            self._failures += 1
            run.best_changed |= self._with_best
            if last or self._failures == FAILURES:
                raise
            say(f"  warning: {error}; training goes on, and the next checkpoint tries again")
            return
        self._failures = 0
        run.hook.frx_checkpoint_saved(run=run)

    def _stop(self, run: Run, signal: int) -> None:
        if signal:
            self._announce(run, last=True)
            ranks.from_first(None)  # one that ended now would have the launcher end them all
            raise Interrupted(
                signal,
                f"stopped after step {run.step}, saved in {self.checkpoints.folder}; "
                "the same command goes on",
            )
