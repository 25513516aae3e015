"""The progress of a run on the terminal."""

from __future__ import annotations

from attrs import define

from frx.progress import Progress, say
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False)
class ProgressBar:
    """Takes part in every run: a bar a stage, a line a validation."""

    bar: Progress | None = None
    note: str = ""  # how the last validation went

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        """Open the stage's bar where the run stands."""
        images = len(run.sets["train"])
        position = run.position
        done = position.epoch * images + position.batch * run.stage.batch_size
        label = f"stage {run.stage.name}"
        if len(run.recipe.stages) > 1:
            label += f" ({position.stage + 1}/{len(run.recipe.stages)})"
        self.bar = Progress(label, run.stage.epochs * images, done=done)
        self.bar.__enter__()
        self._say_epoch(run)

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        """Move the bar."""
        if self.bar and run.batch:
            self.bar.advance(run.batch.whole)

    @hookimpl
    def frx_epoch_end(self, run: Run) -> None:
        """Say which epoch is the next."""
        self._say_epoch(run)

    @hookimpl
    def frx_validation_end(self, run: Run) -> None:
        """Say how the epoch went."""
        best = " (best so far)" if run.position.best_epoch == run.position.epoch else ""
        self.note = f"· val {run.validation['loss']:.5f}"
        terms = ", ".join(
            f"{name} {value:.4g}" for name, value in run.validation.items() if name != "loss"
        )
        say(f"  epoch {run.position.epoch}/{run.stage.epochs}: validation {terms}{best}")

    @hookimpl
    def frx_stage_end(self, run: Run) -> None:
        """Close the bar; say why, when the stage ends early."""
        self.close()
        if run.position.stop:
            epoch = run.position.epoch
            say(f"  stage {run.stage.name} ends after epoch {epoch}: {run.position.stop}")

    def _say_epoch(self, run: Run) -> None:
        if self.bar and run.position.epoch < run.stage.epochs:
            self.bar.note = f"epoch {run.position.epoch + 1}/{run.stage.epochs} {self.note}"

    def close(self) -> None:
        """Leave the terminal as it was, also after an error."""
        if self.bar:
            self.bar.__exit__(None, None, None)
            self.bar = None
