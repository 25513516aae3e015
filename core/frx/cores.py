"""The processor cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def cores() -> int:
    """The cores that can be kept busy, at least 1.

    Those that the process is bound to (`taskset`, Slurm), or fewer where its container has a share
    of processor time (`docker run --cpus`, Kubernetes), whose fractions count as a core.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(bound or 1, _quota())))


def _quota() -> float:
    """The cores' worth of time that the process' control groups allow, of either version."""
    try:
        lines = _MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    allowed = [math.inf]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if not controllers:
            allowed += [_share(folder / "cpu.max") for folder in _upwards(_GROUPS, place)]
        elif "cpu" in controllers.split(","):
            for folder in _upwards(_GROUPS / "cpu", place):
                files = (folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
                allowed.append(_share(*files))
    return min(allowed)


def _upwards(root: Path, place: str) -> list[Path]:
    """The folders of a group and of all around it: each of them may have a limit.

    In a container the path can be the host's, of which only the root is seen.
    """
    inner = PurePosixPath(place.lstrip("/"))
    return [root / inner, *(root / around for around in inner.parents)]


def _share(*files: Path) -> float:
    """Quota over period, read from one file or from two."""
    try:
        quota, period = " ".join(file.read_text(encoding="ascii") for file in files).split()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return math.inf
