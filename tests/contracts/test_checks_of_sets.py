"""The check of metrics that judge whole sets, each sentence with one that earns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from frx import testing

Says = Callable[..., None]


class Brightness:
    """A metric of sets that is right in everything; the wrong ones differ in one thing."""

    higher_is_better = False
    protocol = "absolute difference of the sets' mean squares"

    def tally(self) -> Any:
        return Sums()


@attrs.define(eq=False)
class Sums:
    restored: float = 0
    clean: float = 0
    images: int = 0

    def add(self, restored: Tensor, clean: Tensor) -> None:
        self.restored += restored.square().mean(dim=(1, 2, 3)).sum().item()
        self.clean += clean.square().mean(dim=(1, 2, 3)).sum().item()
        self.images += len(clean)

    def value(self) -> Any:
        return abs(self.restored - self.clean) / self.images


class OfTheLastBatch(Sums):
    def add(self, restored: Tensor, clean: Tensor) -> None:
        self.restored = self.clean = self.images = 0
        super().add(restored, clean)


class Drawing(Sums):
    def value(self) -> Any:
        return super().value() + 1e-9 * torch.rand(()).item()


class ATensor(Sums):
    def value(self) -> Any:
        return torch.tensor(super().value())


class Counting(Sums):
    asked = 0

    def value(self) -> Any:
        self.asked += 1
        return super().value() + self.asked


class InPlace(Sums):
    def add(self, restored: Tensor, clean: Tensor) -> None:
        super().add(restored.sub_(0.1), clean)


class Growing(Sums):
    def value(self) -> Any:
        return -super().value()


ONE = Sums()


@pytest.mark.parametrize(
    ("begin", "sentence"),
    [
        (lambda: ONE, "Wrong has to begin a new tally each time"),
        (lambda: 3, "Wrong has to give a tally with add and value, not 3"),
        (OfTheLastBatch, "for a set in one batch and"),
        (Drawing, "draws from the global generator of torch"),
        (ATensor, "has to give one finite number for a set, not tensor"),
        (Counting, "gives another value when asked again"),
        (InPlace, "changes its input"),
        (Growing, "does not order clean, slightly bad and very bad sets as higher_is_better"),
    ],
)
def test_metrics_of_sets(begin: Callable[[], Any], sentence: str, says: Says) -> None:
    class Wrong(Brightness):
        def tally(self) -> Any:
            return begin()

    says(sentence, testing.check_metric, Wrong())


def test_a_right_metric_of_sets_passes() -> None:
    testing.check_metric(Brightness())
