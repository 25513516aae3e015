"""Networks whose weights, gradients and optimiser states are shared out among processes (FSDP)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard


def share_out(network: nn.Module, device: torch.device) -> None:
    """Leave each process a part of every weight; a block is gathered while it computes."""
    if isinstance(network, FSDPModule):
        return
    network.to(memory_format=torch.contiguous_format)  # no other can be shared out
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for block in (*_blocks(network), network):
        fully_shard(block, mesh=mesh)


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The parts of a network that compute as a whole: its children, through lists of such."""
    for child in network.children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from _blocks(child)
        elif any(True for _ in child.parameters()):
            yield child
