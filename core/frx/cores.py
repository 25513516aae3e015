"""The processor cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from frx import control_groups


def cores() -> int:
    """The cores that can be kept busy, at least 1.

    Those that the process is bound to (`taskset`, Slurm), or fewer where its container has a share
    of processor time (`docker run --cpus`, Kubernetes), whose fractions count as a core. Processes
    of one run share them.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(bound or 1, _quota())) // processes_here())


def processes_here() -> int:
    """How many processes of one run torchrun started on this machine; they share it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def _quota() -> float:
    """The cores' worth of time that the process' control groups allow, of either version."""
    allowed = [math.inf]
    for version, folder in control_groups.limiting("cpu"):
        names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        allowed.append(_share(*(folder / name for name in names)))
    return min(allowed)


def _share(*files: Path) -> float:
    """Quota over period, read from one file or from two."""
    try:
        quota, period = " ".join(file.read_text(encoding="ascii") for file in files).split()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return math.inf
