"""The lengths of gradients, in the log."""

from __future__ import annotations

from attrs import define, field
from torch import Tensor

from frx.plots import GRADIENT_NORM
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False)
class GradientNorms:
    """Logs how long each network's gradient is, before it is clipped.

    "gradient norm model" is the Euclidean length of all gradients of the network "model" with which
    its optimiser steps. It stands among the losses, in the log and wherever its lines are shown.
    """

    _seen: dict[str, Tensor | None] = field(factory=dict, init=False)

    @hookimpl
    def frx_stage_start(self, run: Run) -> None:
        """Forget the networks of the stage before."""
        self._seen = {name: network.norm for name, network in run.networks.items()}

    @hookimpl(tryfirst=True)
    def frx_step_end(self, run: Run) -> None:
        """Add the norms of the networks that have stepped, before the log takes the step in."""
        for name, network in run.networks.items():
            if network.norm is None or network.norm is self._seen[name]:
                continue
            self._seen[name] = network.norm
            run.log = {**run.log, f"{GRADIENT_NORM} {name}": network.norm}
