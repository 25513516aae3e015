"""Warnings while a run trains."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import Factory, define

from frx.hooks.running_means import RunningMeans
from frx.progress import say
from frx.run import Run
from frx.specs import hookimpl


@define
class Lasting:
    """A concern that becomes a warning when it has come so many times in a row."""

    times: int
    count: int = 0
    place: int | None = None  # of its warning among those of the run

    def look(self, run: Run, concern: str | None, over: str) -> None:
        """Take in what there is to say now, if anything; `over` what it was seen over, each time.

        A warning is said on the terminal and kept in `run.warnings`, for the report, once until it
        is over, which is said, too.
        """
        stage = f"stage {run.stage.name}"
        if concern is None:
            if self.place is not None:
                run.warnings[self.place] += f"; over by step {run.step}"
                say(f"  {stage}: the last warning is over by step {run.step}")
            self.count, self.place = 0, None
            return
        self.count += 1
        if self.count == self.times:
            self.place = len(run.warnings)
            run.warnings.append(f"{stage}, for {over} up to step {run.step}: {concern}")
            say(f"  warning: {run.warnings[-1]}")


@define(eq=False)
class Watch:
    """Takes part in every run: warns when training has gone wrong for long.

    A trainer may have a method `concern(means)`, which says in a sentence what is wrong, given the
    mean losses of `window_steps` batches; that counts when it is so in `times` of these in a row.
    So does a restored picture that by every metric is worse than the damaged one, in `times`
    validations in a row.
    """

    window_steps: int = 100
    times: int = 3
    means: RunningMeans = Factory(RunningMeans)
    of_trainer: Lasting = Factory(lambda self: Lasting(self.times), takes_self=True)
    of_scores: Lasting = Factory(lambda self: Lasting(self.times), takes_self=True)

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        """Begin anew, unless the stage goes on."""
        if run.position.epoch == 0 and run.position.batch == 0:
            self.means = RunningMeans()
            self.of_trainer, self.of_scores = Lasting(self.times), Lasting(self.times)

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        """Let the trainer look at each window of steps when it is full."""
        concern = getattr(run.trainer, "concern", None)
        if concern is None:
            return
        self.means.add(run.log)
        if self.means.steps == self.window_steps:
            steps = f"{self.times * self.window_steps} steps"
            self.of_trainer.look(run, concern(self.means.take()), steps)

    @hookimpl
    def frx_validation_end(self, run: Run) -> None:
        """Look at the gains of the restored pictures over the damaged ones."""
        worse = None
        if run.gains and max(run.gains.values()) < 0:
            losses = ", ".join(f"{name} by {-gain:.3g}" for name, gain in run.gains.items())
            worse = (
                f"by every metric the restored pictures are worse than the damaged ones: {losses}"
            )
        self.of_scores.look(run, worse, f"{self.times} validations")

    def state_dict(self) -> dict[str, Any]:
        return {
            "means": self.means.state_dict(),
            "of_trainer": attrs.asdict(self.of_trainer),
            "of_scores": attrs.asdict(self.of_scores),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means.load_state_dict(state["means"])
        self.of_trainer = Lasting(**state["of_trainer"])
        self.of_scores = Lasting(**state["of_scores"])
