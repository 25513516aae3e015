"""Checks of what moves a training: optimisers, schedules, hooks."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from frx.checkpoint import pack, unpack
from frx.errors import RecipeError
from frx.lifecycle import plugin_manager
from frx.specs import HOOK_ARGUMENTS, Optimizer, Schedule
from frx.testing.promises import Promises
from frx.tracking import Tracker, is_tracker


def check_optimizer(optimizer: Optimizer) -> None:
    """Goes downhill, lets the schedule set its rate, and goes on exactly from its saved state.

    Raises:
        AssertionError: says which promise of `frx.Optimizer` is broken.
    """
    promises = Promises.made_by(optimizer)
    weights = _weights()
    with promises.no_error("two parameters"):
        stepped = optimizer(iter(weights))
    promises.kept(isinstance(stepped, torch.optim.Optimizer), "has to return a torch optimiser")
    promises.kept(
        all("lr" in group for group in stepped.param_groups), "has a parameter group without lr"
    )
    losses = [_descend(promises, stepped, weights) for _ in range(10)]
    promises.kept(losses[-1] < losses[0], "does not go downhill in ten steps on a parabola")
    copies = _weights()
    with torch.no_grad():
        for one, other in zip(copies, weights, strict=True):
            one.copy_(other)
    continued = optimizer(iter(copies))
    with promises.no_error("saving and loading its state"):
        continued.load_state_dict(through_a_checkpoint(stepped.state_dict()))
    for both in ((stepped, weights), (continued, copies)):
        _descend(promises, *both)
    promises.kept(
        all(map(torch.equal, weights, copies)), "takes another step after its state was saved"
    )


def _weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-1, 2, 12).reshape(3, 4)), nn.Parameter(torch.ones(3))]


def _descend(
    promises: Promises, optimizer: torch.optim.Optimizer, weights: Iterable[nn.Parameter]
) -> float:
    optimizer.zero_grad()
    loss = torch.stack([weight.square().sum() for weight in weights]).sum()
    torch.autograd.backward(loss)
    with promises.no_error("a step"):
        optimizer.step()
    return loss.item()


def check_schedule(schedule: Schedule) -> None:
    """A finite factor, not negative, for every moment of a stage; always the same one.

    Raises:
        AssertionError: says which promise of `frx.Schedule` is broken.
    """
    promises = Promises.made_by(schedule)
    for epochs in (1, 2, 7, 100):
        moments = [epochs * part / 40 for part in range(41)]
        factors = []
        for epoch in moments:
            given = f"epoch {epoch:g} of {epochs}"
            with promises.no_error(given):
                factor: Any = schedule(epoch, epochs)
            promises.kept(
                isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0,
                f"gives {factor!r} at {given}; a number of at least 0 is wanted",
            )
            factors.append(factor)
        promises.kept(max(factors) > 0, f"is 0 throughout a stage of {epochs}: nothing would learn")
        promises.kept(
            [schedule(epoch, epochs) for epoch in reversed(moments)] == factors[::-1],
            "gives another factor when it is asked again: it keeps something between calls",
        )


def check_hook(hook: object) -> None:
    """Listens to what exists, stands beside another of its kind, and its state can be saved.

    Raises:
        AssertionError: says which promise of `frx.Hook` is broken.
    """
    promises = Promises.made_by(hook)
    promises.kept(not inspect.isclass(hook), "is a class; an object of it is meant")
    listening = [name for name in dir(type(hook)) if name.startswith("frx_")]
    promises.kept(listening, f"listens to nothing; there is {', '.join(sorted(HOOK_ARGUMENTS))}")
    for name in listening:
        promises.kept(
            hasattr(getattr(hook, name), "frx_impl"),
            f"has a method {name} that is not marked with frx.hookimpl: it would never be called",
        )
    try:
        plugin_manager({promises.of: Tracker(promises.of, hook) if is_tracker(hook) else hook})
    except RecipeError as error:
        raise AssertionError(f"{promises.of} cannot take part: {error}") from error
    promises.kept(
        type(hook).__eq__ is object.__eq__,
        "is compared by value, so that a second one could not take part; attrs.define(eq=False) "
        "compares by identity",
    )
    _check_state(promises, hook)


def _check_state(promises: Promises, hook: Any) -> None:
    saves, loads = hasattr(hook, "state_dict"), hasattr(hook, "load_state_dict")
    promises.kept(saves == loads, "has only one of state_dict and load_state_dict")
    if not saves:
        return
    with promises.no_error("saving and loading its state"):
        before = pack(hook.state_dict())
        hook.load_state_dict(through_a_checkpoint(hook.state_dict()))
        after = pack(hook.state_dict())
    same_tensors = before[1].keys() == after[1].keys() and all(
        torch.equal(before[1][name], after[1][name]) for name in before[1]
    )
    promises.kept(
        same_tensors and json.dumps(before[0]) == json.dumps(after[0]),
        "has another state_dict after its own was loaded",
    )


def through_a_checkpoint(state: Any) -> Any:
    """What arrives of a state that is saved and read again."""
    tree, tensors = pack(state)
    return unpack(
        json.loads(json.dumps(tree)), {name: tensor.clone() for name, tensor in tensors.items()}
    )
