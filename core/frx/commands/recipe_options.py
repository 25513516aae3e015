"""The recipe, `--profile`, `--set`, `--device`, `--mask-threshold`: what several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def recipe_options(command: F) -> F:
    """Add `--profile` and `--set`."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a key, such as data.size=64 or stages.train.epochs=2; repeatable.",
    )(command)
    return click.option(
        "--profile",
        "profiles",
        multiple=True,
        metavar="NAME",
        help="Apply a profile of the recipe, such as quick; repeatable.",
    )(command)


def device_option(command: F) -> F:
    """Add `--device`."""
    return click.option(
        "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps or auto."
    )(command)


def mask_threshold_option(command: F) -> F:
    """Add `--mask-threshold`."""
    return click.option(
        "--mask-threshold",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="0..1",
        help="For a model that finds the damage itself: how sure of a pixel's damage it has to be "
        "to replace it.  [default: 0.1; 0.05 to 0.3 is sensible]",
    )(command)
