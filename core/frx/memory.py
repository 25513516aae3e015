"""Memory: how much there is, and the different ways in which torch says that it ran out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a GPU or in the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Windows, Linux and macOS, GPUs, and the libraries of GPUs
    said = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)


def free_bytes(device: torch.device) -> int | None:
    """Memory in bytes that tensors on a device can still take; None where nobody knows.

    On a CPU it is what the machine can give without swapping, or what a container's limit leaves
    where that is less. What torch holds in reserve counts as free.
    """
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + reserved
    if device.type == "mps":  # the memory is the machine's
        own = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return max(0, min(own, int(psutil.virtual_memory().available)))
    if device.type == "cpu":
        return min([int(psutil.virtual_memory().available), *left_by_limits()])
    return None


def left_by_limits(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Iterator[int]:
    """What each memory limit that Linux sets this process leaves of it, in bytes.

    Limits are those of its control group and of all that this one is in, in version 2 or 1;
    `cgroups` is where they are to be seen, `own` says which one it is. Of what is taken, pages of
    files that nobody reads count as free: they go when room is needed.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            top, limit, taken = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            idle = "total_inactive_file"
        elif controllers == "":
            top, limit, taken, idle = cgroups, "memory.max", "memory.current", "inactive_file"
        else:
            continue
        # In a container the path is often one of outside, and only the top is to be seen.
        inner = Path(path.lstrip("/"))
        for group in {top / inner, *(top / outer for outer in inner.parents), top}:
            try:
                most = (group / limit).read_text().strip()
                if most == "max":
                    continue
                counts = dict(
                    row.split() for row in (group / "memory.stat").read_text().splitlines()
                )
                used = int((group / taken).read_text()) - int(counts.get(idle, 0))
                yield max(0, int(most) - used)
            except (OSError, ValueError):
                continue
