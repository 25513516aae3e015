"""Loss curves."""

from __future__ import annotations

import time
from typing import Annotated

from annotated_types import Ge
from attrs import define, field

from frx.hooks.log import LOG
from frx.plots import draw_curves
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False, kw_only=True)
class Curves:
    """Training and validation loss over the epochs, in `curves.png`.

    Drawn from the run's log after an epoch, at most every `every_s` seconds, and at the end.
    """

    every_s: Annotated[float, Ge(0)] = 30.0
    _drawn_at: float = field(factory=time.monotonic, init=False)

    @hookimpl
    def frx_epoch_end(self, run: Run) -> None:
        """Draw, if the last drawing is old enough."""
        if time.monotonic() - self._drawn_at >= self.every_s:
            self._draw(run)

    @hookimpl
    def frx_stage_end(self, run: Run) -> None:
        """Draw."""
        self._draw(run)

    def _draw(self, run: Run) -> None:
        draw_curves(run.folder / LOG, run.folder / "curves.png")
        self._drawn_at = time.monotonic()
