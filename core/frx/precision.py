"""How networks are computed: one setting, `[compute]`, with a good default per device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from frx.build import call
from frx.errors import RecipeError
from frx.recipe import Compute


@frozen
class Precision:
    """How networks compute: in bfloat16 where the hardware multiplies it fast, else in float32.

    Weights, losses and optimisers are float32 always. Networks and images are channels_last, unless
    a recipe asks for the contiguous format.
    """

    device: torch.device
    bf16: bool
    channels_last: bool = True
    compiled: bool = False

    @classmethod
    def choose(cls, compute: Compute, device: torch.device) -> Precision:
        """What a recipe asks for; "auto" is what is best on the device."""
        chosen = compute.precision
        return cls(
            device,
            _has_fast_bf16(device) if chosen == "auto" else chosen == "bf16",
            compute.memory_format == "channels_last",
            compute.compile,
        )

    @property
    def name(self) -> str:
        return "bf16" if self.bf16 else "fp32"

    @property
    def memory_format(self) -> str:
        return "channels_last" if self.channels_last else "contiguous"

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which networks (and nothing else) run."""
        if self.bf16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, in its memory format; maybe compiled at its first use."""
        network.to(self.device)
        if self.compiled:
            network.compile()
        return network.to(memory_format=torch.channels_last) if self.channels_last else network

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """Named outputs (float32) of a network for the batch entries that it asks for by name.

        A model gives tensors; a discriminator may also give lists of them.
        """
        if not self.channels_last:
            batch = {name: value.contiguous() for name, value in batch.items()}
        with self.autocast(), _compiler_failing_clearly():
            result = call(network, batch)
        named = result if isinstance(result, dict) else {"image": result}
        try:
            return {name: _in_float32(value) for name, value in named.items()}
        except AttributeError as error:
            raise RecipeError(
                f"{type(network).__name__} gives {_kinds(named)}; a tensor, or a dict of tensors "
                "by name, is wanted"
            ) from error


@contextmanager
def _compiler_failing_clearly() -> Iterator[None]:
    """Say in a sentence that a machine, or a network, is not one for torch.compile."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise RecipeError(
            f"compute.compile: this cannot be compiled here ({reason}); false does without"
        ) from error


def _in_float32(value: Any) -> Any:
    """A tensor, or a list of such or of lists, likewise."""
    return [_in_float32(one) for one in value] if isinstance(value, list) else value.float()


def _kinds(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {type(value).__name__}" for name, value in named.items())


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one.

    Raises:
        RecipeError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        if reason.startswith("Expected one of"):  # all that torch has ever heard of
            reason = "there is cpu, cuda, cuda:1, mps or auto"
        raise RecipeError(f"--device {name}: not to be had here ({reason})") from error
    return device


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return False
