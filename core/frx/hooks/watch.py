"""Warnings while a run trains."""

from __future__ import annotations

from typing import Any

from attrs import Factory, define

from frx.hooks.running_means import RunningMeans
from frx.progress import say
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False)
class Watch:
    """Takes part in every run: warns when its trainer has been concerned for long.

    A trainer may have a method `concern(means)`, which says in a sentence what is wrong, given the
    mean losses of `window_steps` batches. What it says `windows` times in a row is said on the
    terminal and kept in `run.warnings`, for the report; so is when it is over.
    """

    window_steps: int = 100
    windows: int = 3
    means: RunningMeans = Factory(RunningMeans)
    concerned: int = 0

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        """Begin anew, unless the stage goes on."""
        if run.position.epoch == 0 and run.position.batch == 0:
            self.means, self.concerned = RunningMeans(), 0

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        """Look at each window of steps when it is full."""
        concern = getattr(run.trainer, "concern", None)
        if concern is None:
            return
        self.means.add(run.log)
        if self.means.steps < self.window_steps:
            return
        sentence = concern(self.means.take())
        warned = self.concerned >= self.windows
        self.concerned = self.concerned + 1 if sentence else 0
        if warned and not sentence:
            run.warnings[-1] += f"; over by step {run.step}"
            say(f"  stage {run.stage.name}: that is over by step {run.step}")
        elif self.concerned == self.windows:
            steps = self.windows * self.window_steps
            warning = f"stage {run.stage.name}, for {steps} steps up to {run.step}: {sentence}"
            run.warnings.append(warning)
            say(f"  warning: {warning}")

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means.state_dict(), "concerned": self.concerned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means.load_state_dict(state["means"])
        self.concerned = state["concerned"]
