"""Early stopping."""

from __future__ import annotations

import math
from typing import Annotated, Any

from annotated_types import Ge
from attrs import define, field

from frx.run import Run
from frx.specs import hookimpl


@define(eq=False, kw_only=True)
class EarlyStopping:
    """Ends a stage when its validation loss has not improved for a while.

    An improvement is a loss lower than the lowest so far by more than `min_delta`; it sets the
    count back. `patience` counts validations, and each stage begins anew.
    """

    patience: Annotated[int, Ge(1)] = 10
    min_delta: Annotated[float, Ge(0)] = 0.0
    _lowest: float = field(default=math.inf, init=False)
    _waited: int = field(default=0, init=False)

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        """Begin anew, unless the stage goes on."""
        if run.position.epoch == 0 and run.position.batch == 0:
            self._lowest, self._waited = math.inf, 0

    @hookimpl
    def frx_validation_end(self, run: Run) -> None:
        """Count, and stop the stage when patience is at its end."""
        loss = run.validation["loss"]
        if loss < self._lowest - self.min_delta:
            self._lowest, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            run.position.stop = (
                f"no improvement in {self._waited} validations (lowest {self._lowest:.5f})"
            )

    def never_acts(self, validations: int) -> str | None:
        """Say so when a stage has too few validations to run out of patience."""
        if self.patience >= validations:
            return f"waits for {self.patience} validations in a stage of {validations}"
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"lowest": self._lowest, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._lowest, self._waited = state["lowest"], state["waited"]
