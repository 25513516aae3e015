"""At which sample each process that loads data is: what to name when one dies."""

from __future__ import annotations

import mmap
import os
import re
import struct
from typing import Any, Self

from attrs import define

_ENTRY = struct.Struct("qq")  # process, number of the sample + 1


@define(eq=False)
class Whereabouts:
    """Memory that forked workers share, where each notes the sample that it begins with.

    Spawned workers do not share it: then nobody knows.
    """

    _notes: mmap.mmap | None

    @classmethod
    def of(cls, workers: int) -> Self:
        """For so many workers."""
        return cls(mmap.mmap(-1, _ENTRY.size * workers) if workers else None)

    def enter(self, index: int) -> None:
        """This process begins with a sample."""
        self._note(index + 1)

    def leave(self) -> None:
        """This process is done with the samples that it was asked for."""
        self._note(0)

    def at(self, reason: str) -> list[int]:
        """The samples at which the processes were that a message names, if any, or else all."""
        if self._notes is None:
            return []
        found = dict(_ENTRY.iter_unpack(self._notes[:]))
        named = {int(number) for number in re.findall(r"\d+", reason)} if "pid" in reason else found
        return sorted({found[process] - 1 for process in found.keys() & named if found[process]})

    def _note(self, number: int) -> None:
        from torch.utils.data import get_worker_info

        if self._notes is not None and (worker := get_worker_info()) is not None:
            _ENTRY.pack_into(self._notes, _ENTRY.size * worker.id, os.getpid(), number)

    def __getstate__(self) -> dict[str, Any]:
        return {"_notes": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._notes = state["_notes"]
