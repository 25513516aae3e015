"""Other people's trained networks, from nothing but a file of weights.

The file is read by `frx.tensor_file`, which runs no code of it. The package spandrel then knows by
the names and shapes of the tensors which network they belong to, and holds that network's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import Tensor, nn

from frx.download import sha256_of
from frx.errors import DataError, RecipeError, ResourceError
from frx.memory import is_out_of_memory
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.recipe import Compute
from frx.tensor_file import load_tensors

# Height and width of the aligned faces that those of the purpose "FaceSR" learned on.
FACE_SIZE_PX = 512
_SHOWN_DIGITS = 16


class ForeignRestoration(nn.Module):
    """Someone else's network that restores or enlarges a picture."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self._descriptor = descriptor

    def forward(self, degraded: Tensor) -> dict[str, Tensor]:
        """Restore [B, 3, H, W] in 0..1 to "image", [B, 3, H·scale, W·scale] in 0..1.

        A network for grey pictures sees each of the three colours by itself.
        """
        if self._descriptor.input_channels == 3:
            return {"image": _one_by_one(self._descriptor, degraded)}
        colours = _one_by_one(self._descriptor, degraded.flatten(0, 1).unsqueeze(1))
        return {"image": colours.reshape(-1, 3, *colours.shape[-2:])}


class ForeignInpainting(nn.Module):
    """Someone else's network that fills in what a mask marks."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self._descriptor = descriptor

    def forward(self, degraded: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Fill [B, 3, H, W] in 0..1 where the mask [B, 1, H, W] is 1; "image" is of that size."""
        return {"image": _one_by_one(self._descriptor, degraded, mask)}


def _one_by_one(call: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """Call with one picture at a time: not every network takes more.

    Each call gets a copy of its own, contiguous: some networks change their input, others take its
    memory format for granted. Those that draw noise (GFPGAN) draw the same for every picture, so
    that a picture is always restored alike; nobody else's random numbers change.
    """
    device = batches[0].device
    results = []
    for pictures in zip(*(torch.split(batch, 1) for batch in batches), strict=True):
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            copies = [each.clone(memory_format=torch.contiguous_format) for each in pictures]
            results.append(call(*copies))
    return torch.cat(results)


def open_foreign(path: Path, device: torch.device, compute: Compute | None = None) -> Restorer:
    """Open a file of weights (.pth, .pt, .ckpt, .bin, .safetensors) of a network spandrel knows.

    It computes in bfloat16 where `compute` asks for it and spandrel says that it can, and in the
    contiguous memory format, which some of these networks take for granted.

    Raises:
        RecipeError: spandrel is not installed.
        DataError: the file is damaged, wants to run code, or holds no network that spandrel knows.
        ResourceError: it does not fit into memory.
    """
    try:
        import spandrel
    except ImportError as error:
        raise RecipeError(
            f"{path}: for other people's networks the package spandrel is needed ({error}): "
            "pip install 'frx[foreign]'"
        ) from error
    descriptor = _recognised(path, load_tensors(path))
    masked = isinstance(descriptor, spandrel.MaskedImageModelDescriptor)
    if (channels := (descriptor.input_channels, descriptor.output_channels)) not in (
        [(3, 3)] if masked else [(3, 3), (1, 1)]
    ):
        raise DataError(
            f"{path}: this {descriptor.architecture.name} makes {channels[1]} channels of "
            f"{channels[0]}, but photographs have three colours"
        )
    compute = evolve(compute or Compute(), memory_format="contiguous")
    if not descriptor.supports_bfloat16:
        compute = evolve(compute, precision="fp32")
    chosen = Precision.choose(compute, device)
    module = (ForeignInpainting if masked else ForeignRestoration)(descriptor)
    of_faces = descriptor.purpose == "FaceSR"
    about = {
        "model": {"use": descriptor.architecture.name},
        "file": path.name,
        "sha256": sha256_of(path)[:_SHOWN_DIGITS],
        "purpose": descriptor.purpose,
        "tags": list(descriptor.tags),
    }
    return Restorer(
        chosen.place(module).eval(),
        chosen,
        about,
        size=FACE_SIZE_PX if of_faces else None,
        fixed_size=of_faces and descriptor.size_requirements.minimum == FACE_SIZE_PX,
        scale=int(descriptor.scale),
    )


def _recognised(path: Path, tensors: Mapping[str, Tensor]) -> Any:
    """Spandrel's descriptor of the network that the tensors belong to, on the CPU, in float32."""
    from spandrel import ModelLoader, UnsupportedModelError

    try:
        descriptor = ModelLoader(torch.device("cpu")).load_from_state_dict(dict(tensors))
    except UnsupportedModelError as error:
        raise DataError(
            f"{path} is a file of weights, but of no network that spandrel knows; frx's own "
            "networks are restored with by naming their run folder"
        ) from error
    except Exception as error:  # each architecture reads the shapes in its own way
        if is_out_of_memory(error):
            raise ResourceError(f"{path} does not fit into memory") from error
        reason = " ".join(str(error).split())[:200].rstrip(" .") or type(error).__name__
        raise DataError(f"{path} does not hold a whole network: {reason}") from error
    for name, tensor in descriptor.model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{path} is damaged: {name} is not finite")
    return descriptor
