"""What every trained network promises: one answer in all modes, weights that learn and are saved.

`Answer` calls a network on a batch and checks the tensors by name that it gives.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from frx.testing.batches import CLOSE, largest_difference
from frx.testing.promises import Promises

Answer = Callable[[nn.Module], dict[str, Tensor]]


def check_that_it_can_learn(promises: Promises, network: nn.Module) -> None:
    """An nn.Module with parameters."""
    promises.kept(isinstance(network, nn.Module), "is not an nn.Module")
    promises.kept(
        any(p.requires_grad for p in network.parameters()), "has no parameter that could learn"
    )


@torch.no_grad()
def check_modes(promises: Promises, network: nn.Module, answer: Answer) -> dict[str, Tensor]:
    """One answer in evaluation mode, which is returned, and the same in training mode.

    In training mode another is allowed where the network says `differs_in_training = True`.
    """
    outputs = answer(network.eval())
    promises.kept(
        largest_difference(outputs, answer(network)) == 0,
        "gives two results for one input in evaluation mode",
    )
    if not getattr(network, "differs_in_training", False):
        promises.kept(
            largest_difference(outputs, answer(network.train())) < CLOSE,
            "gives other results in training mode than in evaluation mode; one with "
            "dropout or running statistics has to say differs_in_training = True",
        )
    return outputs


def check_gradients(promises: Promises, network: nn.Module, answer: Answer, main: str) -> None:
    """A finite gradient for every weight, and one through the output called `main`."""
    network.train().zero_grad()
    outputs = answer(network)
    promises.kept(outputs[main].requires_grad, f'gives "{main}" without gradients')
    total = torch.zeros(())
    for value in outputs.values():
        if value.requires_grad:
            total = total + (value.float() - 0.3).square().mean()
    torch.autograd.backward(total)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            promises.kept(
                parameter.grad is not None, f"has a parameter that gets no gradient: {name}"
            )
            assert parameter.grad is not None
            promises.kept(
                torch.isfinite(parameter.grad).all(), f"has a gradient that is not finite: {name}"
            )


@torch.no_grad()
def check_saving(
    promises: Promises, network: nn.Module, other: nn.Module | None, answer: Answer
) -> None:
    """The same answer after its weights went through a file, into `other` or a spoilt copy."""
    expected = answer(network.eval())
    with promises.no_error("saving its weights"):
        raw = safetensors.torch.save({k: t.contiguous() for k, t in network.state_dict().items()})
    fresh: Any = other
    if fresh is None:
        fresh = copy.deepcopy(network)
        for tensor in fresh.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(1)
    with promises.no_error("loading its weights"):
        fresh.load_state_dict(safetensors.torch.load(raw))
    promises.kept(
        largest_difference(answer(fresh.eval()), expected) < CLOSE,
        "gives other results after its weights were saved and loaded: something it needs is not "
        "in its state_dict",
    )
