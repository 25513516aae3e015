"""Early stopping."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from annotated_types import Ge, Len
from attrs import define, field

from frx.errors import RecipeError
from frx.run import Run
from frx.specs import hookimpl
from frx.terms import Terms


@define(eq=False, kw_only=True)
class EarlyStopping:
    """Ends a stage when what it monitors has not improved for a while.

    `monitor` names values of a validation: "loss", the sum of the stage's weighted terms, a term by
    its label, or a metric with its region, as in "psnr damaged". Each has its own count of
    validations without an improvement, and the stage ends when all of them have come to `patience`.

    An improvement is a value better than the best so far by more than `min_delta`: lower, or higher
    where a metric says so. It sets the value's count back. A value that is not finite is none, nor
    is a metric without a score, such as a mask's precision where nothing is found. Each stage
    begins anew.
    """

    patience: Annotated[int, Ge(1)] = 10
    min_delta: Annotated[float, Ge(0)] = 0.0
    monitor: Annotated[list[str], Len(1)] = field(factory=lambda: ["loss"])
    _best: dict[str, float] = field(factory=dict, init=False)
    _waited: dict[str, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for name in self.monitor:
            if self.monitor.count(name) > 1:
                raise ValueError(f"monitor names {name!r} twice; once is enough")

    @hookimpl
    def frx_run_start(self, run: Run) -> None:
        """Refuse names that no validation of some stage can have.

        Raises:
            RecipeError: says which stage has no such value, and what it has.
        """
        for stage, terms in zip(run.recipe.stages, run.losses_by_stage, strict=True):
            there = [*_losses(terms), *_scores(run)]
            for name in self.monitor:
                if name not in there:
                    raise RecipeError(
                        f"hook early_stopping: stage {stage.name} has no {name!r} to monitor "
                        f"(there is: {', '.join(there)})"
                    )

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        """Begin anew, unless the stage goes on."""
        if run.position.epoch == 0 and run.position.batch == 0:
            self._best, self._waited = {}, {}

    @hookimpl
    def frx_validation_end(self, run: Run) -> None:
        """Count, and stop the stage when patience is at its end.

        Raises:
            RecipeError: a metric's region is in no image, as no damage is marked.
        """
        for name in self.monitor:
            value = _value(run, name)
            if self._is_better(value, name, higher=_higher_is_better(run, name)):
                self._best[name], self._waited[name] = value, 0
            else:
                self._waited[name] = self._waited.get(name, 0) + 1
        waited = min(self._waited.values())
        if waited >= self.patience:
            best = ", ".join(self._best_text(name) for name in self.monitor)
            run.position.stop = f"no improvement in {waited} validations (best: {best})"

    def _is_better(self, value: float, name: str, *, higher: bool) -> bool:
        if not math.isfinite(value) or name not in self._best:
            return math.isfinite(value)
        gain = value - self._best[name] if higher else self._best[name] - value
        return gain > self.min_delta

    def _best_text(self, name: str) -> str:
        return f"{name} {self._best[name]:.5g}" if name in self._best else f"{name} never finite"

    def never_acts(self, validations: int) -> str | None:
        """Say so when a stage has too few validations to run out of patience."""
        if self.patience >= validations:
            return f"waits for {self.patience} validations in a stage of {validations}"
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"best": dict(self._best), "waited": dict(self._waited)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best, self._waited = dict(state["best"]), dict(state["waited"])


def _losses(terms: Terms) -> list[str]:
    return ["loss", *terms.labels]


def _scores(run: Run) -> Iterator[str]:
    """What a validation can have of the recipe's metrics, each with its region."""
    for metric in run.metrics:
        if not metric.judges_set:
            yield from (f"{metric.name} {r}" for r in metric.region_names if r != "undamaged")


def _higher_is_better(run: Run, name: str) -> bool:
    if name in _losses(run.losses):
        return False
    of = name.partition(" ")[0]
    return any(metric.metric.higher_is_better for metric in run.metrics if metric.name == of)


def _value(run: Run, name: str) -> float:
    """A value of the last validation; NaN for a metric that no whole image has a score of."""
    if name in run.validation:
        return run.validation[name]
    if name.endswith(" whole"):
        return math.nan
    raise RecipeError(
        f"hook early_stopping: there is no {name!r} to monitor, as no damage is marked in the "
        f"images of val (there is: {', '.join(run.validation)})"
    )
