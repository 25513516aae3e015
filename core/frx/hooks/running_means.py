"""Means of what a run logs, over some steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, define
from torch import Tensor


@define
class RunningMeans:
    """Sums on the device, read once: no step waits for a number.

    A step need not have all names: each has the mean over the steps that had it.
    """

    sums: dict[str, Tensor] = Factory(dict)
    counts: dict[str, int] = Factory(dict)
    steps: int = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in a step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach()
            self.counts[name] = self.counts.get(name, 0) + 1
        self.steps += 1

    def take(self) -> dict[str, float]:
        """The means since the last time; then begin anew."""
        means = {name: total.item() / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts, self.steps = {}, {}, 0
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts, self.steps = state["sums"], state["counts"], state["steps"]
