"""The control groups by which Linux limits what a process may take: containers, batch systems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def limiting(
    controller: str, groups: Path = GROUPS, membership: Path = MEMBERSHIP
) -> Iterator[tuple[int, Path]]:
    """Give version (1 or 2) and folder of each group that may limit this process in something.

    These are its own, and all that this one is in. `groups` is where they are to be seen,
    `membership` says which one it is. Not every folder need be there: in a container the path is
    often one of outside, and only the top is to be seen.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if not controllers:
            version, top = 2, groups
        elif controller in controllers.split(","):
            version, top = 1, groups / controller
        else:
            continue
        own = Path(place.lstrip("/"))
        for folder in dict.fromkeys([top / own, *(top / outer for outer in own.parents), top]):
            yield version, folder
