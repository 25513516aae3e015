"""Memory: how much there is, and the different ways in which torch says that it ran out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from frx.control_groups import GROUPS, MEMBERSHIP, limiting

if TYPE_CHECKING:
    import torch

# By version: a group's limit, what is taken of it, and what of that nobody uses.
NAMES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a GPU or in the machine."""
    torch = sys.modules.get("torch")  # which need not be there, and takes seconds
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    # Windows, Linux and macOS, GPUs, the libraries of GPUs, and oneDNN, which does not say why
    said = (
        *("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED"),
        *("could not create a primitive", "could not create a memory object"),
    )
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)


def free_bytes(device: torch.device) -> int | None:
    """Memory in bytes that tensors on a device can still take; None where nobody knows.

    On a CPU it is what the machine can give without swapping, or what a container's limit leaves
    where that is less. What torch holds in reserve counts as free.
    """
    import torch

    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + reserved
    if device.type == "mps":  # the memory is the machine's
        own = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return max(0, min(own, int(psutil.virtual_memory().available)))
    if device.type == "cpu":
        return free_on_machine()
    return None


def free_on_machine() -> int:
    """Memory in bytes that can be had without swapping, or what limits leave of it."""
    free = [int(psutil.virtual_memory().available), *left_by_limits()]
    if hasattr(psutil, "RLIMIT_AS"):  # Linux and FreeBSD
        process = psutil.Process()
        addresses, _ = process.rlimit(psutil.RLIMIT_AS)  # what `ulimit -v` says
        if addresses != psutil.RLIM_INFINITY:
            free.append(max(0, addresses - process.memory_info().vms))
    return min(free)


def left_by_limits(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> Iterator[int]:
    """What each memory limit that Linux sets this process' groups leaves of it, in bytes.

    For `groups` and `membership` see `frx.control_groups`. Of what is taken, pages of files that
    nobody reads count as free: they go when room is needed.
    """
    for version, folder in limiting("memory", groups, membership):
        limit, taken, idle = NAMES[version]
        try:
            most = (folder / limit).read_text().strip()
            if most == "max":
                continue
            counts = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
            used = int((folder / taken).read_text()) - int(counts.get(idle, 0))
            yield max(0, int(most) - used)
        except (OSError, ValueError):
            continue
