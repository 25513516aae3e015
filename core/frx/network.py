"""A trained network with the optimiser that moves it, and their state."""

from __future__ import annotations

from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn

from frx.build import Use
from frx.errors import RecipeError


def weights(module: nn.Module) -> dict[str, Tensor]:
    """What a network is made of by name, whole, also where processes share it out."""
    return {name: _whole(value) for name, value in module.state_dict().items()}


def load_weights(module: nn.Module, whole: dict[str, Any]) -> None:
    """Put whole weights into a network, also where processes share it out."""
    if not is_shared_out(module):
        module.load_state_dict(whole)
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(module, whole, options=StateDictOptions(full_state_dict=True))


def is_shared_out(module: nn.Module) -> bool:
    """Whether each process has a part of the weights only."""
    return any(hasattr(parameter, "full_tensor") for parameter in module.parameters())


def _whole(value: Any) -> Any:
    """A tensor of which each process may have a part; anything else as it is."""
    return value.full_tensor().cpu() if hasattr(value, "full_tensor") else value


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor as a parameter lies in memory, or among processes."""
    if not hasattr(parameter, "full_tensor"):
        return torch.empty_like(parameter).copy_(value)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(value.to(parameter.device), mesh, placements, src_data_rank=None)


@define(eq=False)
class Network:
    """A trained network with the optimiser that moves it."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    base_rates: list[float]
    pending: int = 0  # batches whose gradients wait for the next step
    norm: Tensor | None = None  # of all its gradients, before they were clipped, in the last step
    averaging: nn.Module | None = None  # what losses go through where several processes train
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

    def learn(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those that wait, averaged over all processes."""
        passed = loss if self.averaging is None else self.averaging(loss)
        passed.backward()

    def gradient_norm(self) -> Tensor:
        """The Euclidean length of all gradients, one number."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not gradients:
            return torch.zeros(())
        # As torch.nn.utils.get_total_norm has it, which first sorts them by device and type.
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        return _whole(norm)  # type: ignore[no-any-return]

    def step(self, factor: float) -> None:
        """Move the weights, at learning rates of `factor` times those from which it goes out."""
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Begin to gather gradients anew."""
        for parameter in self.parameters:
            parameter.grad = None
        self.pending = 0

    def buffers(self) -> list[Tensor]:
        """Copies of what the module keeps beside its weights, such as running statistics."""
        return [buffer.detach().clone() for buffer in self.module.buffers()]

    @torch.no_grad()
    def put_back(self, buffers: list[Tensor]) -> None:
        """Let the module's buffers be as they were when `buffers` was called."""
        for buffer, before in zip(self.module.buffers(), buffers, strict=False):
            buffer.copy_(before)

    def state(self) -> dict[str, Any]:
        """Weights, optimiser and unfinished gradients."""
        gradients = (
            {
                name: _whole(p.grad)
                for name, p in self.module.named_parameters()
                if p.grad is not None
            }
            if self.pending
            else {}
        )
        optimizer = self.optimizer.state_dict()
        moments = {
            number: {key: _whole(value) for key, value in kept.items()}
            for number, kept in optimizer["state"].items()
        }
        return {
            "weights": weights(self.module),
            "optimizer": {**optimizer, "state": moments},
            "pending": self.pending,
            "gradients": gradients,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken.

        What stands beside a weight is laid out in memory as it is: fused optimisers walk through
        both in the order of memory, and read nonsense where the orders differ.
        """
        load_weights(self.module, state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            for key, value in moments.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    moments[key] = _laid_out(value, parameter)
        self.pending = state["pending"]
        for name, parameter in self.module.named_parameters():
            if name in state["gradients"]:
                parameter.grad = _laid_out(state["gradients"][name], parameter)
