"""Means of what a run logs, over some steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, define, field
from torch import Tensor


@define
class RunningMeans:
    """Losses kept on the device and read together: no step waits for a number.

    A step need not have all names: each has the mean over the steps that had it.
    """

    sums: dict[str, float] = Factory(dict)
    counts: dict[str, int] = Factory(dict)
    steps: int = 0
    _unread: list[dict[str, Tensor]] = field(factory=list, init=False)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in a step."""
        self._unread.append({name: value.detach() for name, value in values.items()})
        self.steps += 1

    def take(self) -> dict[str, float]:
        """The means since the last time; then begin anew."""
        self._read()
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts, self.steps = {}, {}, 0
        return means

    def state_dict(self) -> dict[str, Any]:
        self._read()
        return {"sums": self.sums, "counts": self.counts, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts, self.steps = state["sums"], state["counts"], state["steps"]

    def _read(self) -> None:
        """Add up in the order of the steps, so that reading early changes no sum."""
        for values in self._unread:
            for name, value in values.items():
                self.sums[name] = self.sums.get(name, 0.0) + value.item()
                self.counts[name] = self.counts.get(name, 0) + 1
        self._unread.clear()
