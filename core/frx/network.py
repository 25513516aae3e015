"""A trained network with the optimiser that moves it, and their state."""

from __future__ import annotations

from typing import Any

import torch
from attrs import define
from torch import Tensor, nn

from frx.build import Use
from frx.errors import RecipeError


@define(eq=False)
class Network:
    """A trained network with the optimiser that moves it."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    base_rates: list[float]
    pending: int = 0  # batches whose gradients wait for the next step
    norm: Tensor | None = None  # of all its gradients, before they were clipped, in the last update

    @classmethod
    def of(cls, module: nn.Module, use: Use) -> Network:
        """Make its optimiser, and note the learning rates from which the schedule goes out.

        Raises:
            RecipeError: what the recipe names makes no optimiser.
        """
        optimizer = use.build()(module.parameters())
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise RecipeError(
                f"the optimizer {use.name} gives a {type(optimizer).__name__}; a torch.optim."
                "Optimizer is wanted"
            )
        return cls(module, optimizer, [group["lr"] for group in optimizer.param_groups])

    def state(self) -> dict[str, Any]:
        """Weights, optimiser and unfinished gradients."""
        gradients = (
            {name: p.grad for name, p in self.module.named_parameters() if p.grad is not None}
            if self.pending
            else {}
        )
        return {
            "weights": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "pending": self.pending,
            "gradients": gradients,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken.

        What stands beside a weight is laid out in memory as it is: fused optimisers walk through
        both in the order of memory, and read nonsense where the orders differ.
        """
        self.module.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            for key, value in moments.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    moments[key] = torch.empty_like(parameter).copy_(value)
        self.pending = state["pending"]
        for name, parameter in self.module.named_parameters():
            if name in state["gradients"]:
                gradient = state["gradients"][name]
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
