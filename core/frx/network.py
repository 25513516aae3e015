"""A trained network with the optimiser that moves it, and their state."""

from __future__ import annotations

from typing import Any

import torch
from attrs import define, field
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
    parameters: list[nn.Parameter] = field(init=False)

    @parameters.default
    def _(self) -> list[nn.Parameter]:
        return list(self.module.parameters())

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
        rates = [group["lr"] for group in optimizer.param_groups]
        return cls(module, optimizer, rates)

    def gradient_norm(self) -> Tensor:
        """The Euclidean length of all gradients, one number."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not gradients:
            return torch.zeros(())
        # As torch.nn.utils.get_total_norm has it, which first sorts them by device and type.
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        return norm

    def step(self, factor: float) -> None:
        """Move the weights, at learning rates of `factor` times those from which it goes out."""
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        self.pending = 0

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
