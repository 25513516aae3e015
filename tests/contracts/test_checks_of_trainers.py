"""What is wrong with a trainer is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from frx import testing


class Right:
    """One step of the model."""

    def __init__(self, model: nn.Module, losses: Any) -> None:
        self.model, self.losses = model, losses

    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def step(self, run: Any, batch: Any) -> Any:
        losses = self.losses(run.forward("model", batch), batch)
        run.update("model", sum(losses.values()))
        return losses


class Idle(Right):
    def step(self, run: Any, batch: Any) -> Any:
        return self.losses(run.forward("model", batch), batch)


class HalfIdle(Right):
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model, "critic": nn.Linear(2, 2)}


class Nameless(Right):
    def networks(self) -> dict[str, nn.Module]:
        return {"generator": self.model}


class Usurper(Right):
    def networks(self) -> dict[str, nn.Module]:
        return {"model": nn.Conv2d(3, 3, 1)}


class Remembers(Right):
    def __init__(self, model: nn.Module, losses: Any) -> None:
        super().__init__(model, losses)
        self.steps = 0

    def step(self, run: Any, batch: Any) -> Any:
        self.steps += 1
        losses = self.losses(run.forward("model", batch), batch)
        run.update("model", self.steps * sum(losses.values()) ** self.steps)
        return losses


class Talkative(Right):
    def step(self, run: Any, batch: Any) -> Any:
        return {"psnr": torch.zeros(3), **super().step(run, batch)}


class Silent(Right):
    def step(self, run: Any, batch: Any) -> Any:
        super().step(run, batch)


class Stubborn(Right):
    def step(self, run: Any, batch: Any) -> Any:
        raise KeyError("edges")


def test_a_right_one_passes() -> None:
    testing.check_trainer(Right)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Idle, "Idle declares a network 'model', which has not learnt anything in four steps"),
        (HalfIdle, "HalfIdle declares a network 'critic', which has not learnt anything"),
        (Nameless, 'Nameless declares no network called "model"'),
        (Usurper, 'declares another network as "model" than the one that it was given'),
        (Remembers, "ends with other weights when it is broken off after step 1 and goes on"),
        (Talkative, "logs 'psnr' as tensor([0., 0., 0.]); one finite number, a tensor []"),
        (Silent, "the trainer Silent gives a NoneType after a step"),
        (Stubborn, "Stubborn fails on a run of four steps: KeyError: 'edges'"),
    ],
)
def test_a_wrong_one_is_told_what_is_wrong(
    wrong: type, sentence: str, says: Callable[..., None]
) -> None:
    says(sentence, testing.check_trainer, wrong)
