"""The checks of optimisers, schedules and hooks, each sentence with one that earns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from frx import hookimpl, testing
from frx.registry import GROUPS

Picture = NDArray[np.uint8]
Rng = np.random.Generator


Says = Callable[..., None]


def uphill(parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, maximize=True)


class Forgets(torch.optim.SGD):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "state": {}}


def forgetful(parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    return Forgets(parameters, lr=0.01, momentum=0.9)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (uphill, "uphill does not go downhill in ten steps on a parabola"),
        (forgetful, "forgetful takes another step after its state was saved"),
        (list, "list has to return a torch optimiser"),
    ],
)
def test_optimizers(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_optimizer, wrong)


def below_zero(epoch: float, epochs: int) -> float:
    return 1 - 2 * epoch / epochs


def inverse(epoch: float, epochs: int) -> float:
    return 1 / epoch


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (below_zero, "below_zero gives -0.05"),
        (inverse, "inverse fails on epoch 0 of 1: ZeroDivisionError"),
        (lambda epoch, epochs: 0.0, "is 0 throughout a stage of 1"),
    ],
)
def test_schedules(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_schedule, wrong)


class Misspelt:
    @hookimpl
    def frx_step_ends(self, run: Any) -> None: ...


class WrongArgument:
    @hookimpl
    def frx_step_end(self, run: Any, loss: Any) -> None: ...


class Unmarked:
    def frx_step_end(self, run: Any) -> None: ...


class Deaf:
    pass


@attrs.define
class ByValue:
    @hookimpl
    def frx_step_end(self, run: Any) -> None: ...


class SavesOnly:
    @hookimpl
    def frx_step_end(self, run: Any) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {"seen": {1, 2}}


class SavesASet(SavesOnly):
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Drifts(SavesOnly):
    count = 0

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"] + 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Misspelt(), "Misspelt cannot take part: hook Misspelt: unknown hook 'frx_step_ends'"),
        (WrongArgument(), "WrongArgument cannot take part: hook WrongArgument: "),
        (Unmarked(), "frx_step_end that is not marked with frx.hookimpl: it would never be called"),
        (Deaf(), "Deaf listens to nothing; there is frx_checkpoint_saved, "),
        (Misspelt, "Misspelt is a class; an object of it is meant"),
        (ByValue(), "ByValue is compared by value, so that a second one could not take part"),
        (SavesOnly(), "SavesOnly has only one of state_dict and load_state_dict"),
        (SavesASet(), "SavesASet fails on saving and loading its state: TypeError: /seen: a set"),
        (Drifts(), "Drifts has another state_dict after its own was loaded"),
    ],
)
def test_hooks(wrong: Any, sentence: str, says: Says) -> None:
    says(sentence, testing.check_hook, wrong)


def test_the_inventory_of_checks() -> None:
    checked = sorted(GROUPS)
    assert testing.__all__ == [f"check_{kind}" for kind in checked]
