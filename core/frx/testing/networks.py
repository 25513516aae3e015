"""What every trained network promises: one answer in all modes, weights that learn and are saved.

`Answer` calls a network on a batch and checks the tensors by name that it gives.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from frx.testing.batches import CLOSE, largest_difference
from frx.testing.promises import Promises

# How far gradients may lie apart, and which of all count.
ALIKE, SMALL = 0.05, 0.01

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


def check_layouts(
    promises: Promises,
    network: nn.Module,
    answer: Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]],
    data: Mapping[str, Tensor],
) -> None:
    """One gradient of every weight, whether weights and pictures are channels_last or not.

    There are layers, such as torch's instance norm on a CPU, for which that is not so. `answer`
    calls the network on `data`.
    """

    def gradients(layout: torch.memory_format) -> dict[str, Tensor]:
        laid_out = {
            name: value.detach().contiguous(memory_format=layout) for name, value in data.items()
        }
        tried = copy.deepcopy(network).to(memory_format=layout).eval()
        tried.zero_grad()
        outputs = [value for value in answer(laid_out, tried).values() if value.requires_grad]
        generator = torch.Generator().manual_seed(0)
        noises = [torch.randn(value.shape, generator=generator) for value in outputs]
        backward = [
            noise.to(value).contiguous(memory_format=layout)
            for noise, value in zip(noises, outputs, strict=True)
        ]
        torch.autograd.backward(outputs, backward)
        return {name: p.grad for name, p in tried.named_parameters() if p.grad is not None}

    plain, last = gradients(torch.contiguous_format), gradients(torch.channels_last)
    largest = max(float(gradient.norm()) for gradient in plain.values())
    for name, gradient in plain.items():
        size = max(float(gradient.norm()), SMALL * largest)  # what is smaller is rounding
        promises.kept(
            (last[name] - gradient).norm() <= ALIKE * size,
            f"has another gradient when weights and pictures are channels_last: {name}",
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
