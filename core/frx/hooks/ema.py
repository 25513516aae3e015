"""Averages of the weights."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import torch
from annotated_types import Interval
from attrs import define, field
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from frx.errors import RecipeError
from frx.network import is_shared_out
from frx.run import Run
from frx.specs import hookimpl


@define(eq=False, kw_only=True)
class Ema:
    """Validates and exports a moving average of the model's weights.

    Training itself goes on with the weights as they are. With each step of the optimiser the
    average keeps a share of what it was, `decay`, and less at a stage's beginning: in step t at
    most (1 + t) / (10 + t). It takes in running statistics of the network, too, and copies what is
    no fraction. Each stage begins a new one, from the weights that it starts with.

    From `frx_epoch_trained` to the end of `frx_epoch_end` the model holds the average, so losses,
    scores, samples and the best weights are of it.
    """

    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.999
    _average: AveragedModel | None = field(default=None, init=False)
    _loaded: dict[str, Tensor] | None = field(default=None, init=False)
    _seen: Tensor | None = field(default=None, init=False)  # gradient norm of the last step

    @hookimpl(trylast=True)
    def frx_stage_start(self, run: Run) -> None:
        """Begin anew, unless the stage goes on.

        Raises:
            RecipeError: processes share the weights out, and none has them to average.
        """
        network = run.networks["model"]
        if is_shared_out(network.module):
            raise RecipeError("hook ema: averages whole weights, and compute.shard shares them out")
        self._average = AveragedModel(network.module, use_buffers=True)
        self._average.update_parameters(network.module)  # the first time it copies
        if run.position.epoch or run.position.batch:
            assert self._loaded is not None
            self._average.load_state_dict(self._loaded)
        self._loaded, self._seen = None, network.norm

    @hookimpl(trylast=True)
    def frx_step_end(self, run: Run) -> None:
        """Take the weights in, if the optimiser has moved them."""
        network = run.networks["model"]
        if network.pending or network.norm is self._seen:
            return
        assert self._average is not None
        self._seen = network.norm
        step = int(self._average.n_averaged)
        share = max(1 - self.decay, 9 / (10 + step))
        self._average.multi_avg_fn = partial(_move, share=share)
        self._average.update_parameters(network.module)

    @hookimpl(tryfirst=True)
    def frx_epoch_trained(self, run: Run) -> None:
        """Put the average into the model."""
        self._exchange(run)

    @hookimpl(trylast=True)
    def frx_epoch_end(self, run: Run) -> None:
        """Put the weights back with which training goes on."""
        self._exchange(run)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self._average.state_dict() if self._average else self._loaded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._average, self._loaded = None, state["average"]

    @torch.no_grad()
    def _exchange(self, run: Run) -> None:
        assert self._average is not None
        model, average = run.networks["model"].module, self._average.module
        for one, other in zip(
            (*model.parameters(), *model.buffers()),
            (*average.parameters(), *average.buffers()),
            strict=True,
        ):
            kept = one.clone()
            one.copy_(other)
            other.copy_(kept)


@torch.no_grad()
def _move(averages: Any, values: Any, count: Any, *, share: float) -> None:
    """Move averages towards values by a share of the way; what is no fraction, all of it."""
    if averages[0].is_floating_point():
        average_of = get_ema_multi_avg_fn(1 - share)  # type: ignore[no-untyped-call]
        average_of(averages, values, count)
        return
    for average, value in zip(averages, values, strict=True):
        average.copy_(value)
