"""The optimisers of timm, by name: Adan, Lion, LAMB, Muon and seventy more."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Interval
from torch import nn

# Classes whose state does not go into a checkpoint and come out the same.
UNSAVED = {
    "Kron": "draws at random from a generator of its own, which no checkpoint has",
    "AdafactorBigVision": "keeps a number format in its state, which no checkpoint has",
}


class Timm:
    """The optimisers of timm, by name: Adan, Lion, LAMB, Muon and seventy more.

    `name` is one of `timm.optim.list_optimizers()`. Often asked for are "adan" (arXiv 2208.06677),
    "lion" (2302.06675, with a tenth of Adam's `lr`), "lamb" (1904.00962), "nadamw", "radam"
    (1908.03265), "adabelief" (2010.07468), "adopt" (2411.02853), "mars" (2411.10438) and "muon",
    which makes the steps of all but vectors orthogonal. A "c" before some names is the cautious
    form (2411.16085).

    `betas` are two numbers, three for Adan. `betas`, `momentum` and `eps` are timm's choice unless
    they are given, and refused where the optimiser has none. `weight_decay` is for all weights.

    Left out is what needs another package or a second derivative, "lookahead_…", and what could not
    go on exactly after a break.
    """

    def __init__(
        self,
        *,
        name: str,
        lr: Annotated[float, Gt(0)] = 1e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        betas: list[float] | None = None,
        momentum: Annotated[float, Interval(ge=0, lt=1)] | None = None,
        eps: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.name = name.lower()
        given: dict[str, Any] = {"betas": betas, "momentum": momentum, "eps": eps}
        given = {option: value for option, value in given.items() if value is not None}
        _check_options(_usable(self.name), self.name, given)
        if betas is not None:
            given["betas"] = tuple(betas)
        self.options = {"lr": lr, "weight_decay": weight_decay, **given}
        try:  # what it objects to itself, before a run rather than in it
            self([nn.Parameter(torch.zeros(2, 2))])
        except (AssertionError, ImportError, TypeError) as error:
            raise ValueError(f"timm cannot make {self.name} with these options: {error}") from error

    def __call__(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser over `parameters`."""
        made: torch.optim.Optimizer = _optim().create_optimizer_v2(
            parameters, self.name, **self.options
        )
        return made


def _optim() -> Any:
    """The package timm.optim, imported when it is needed; it does not declare what it exports."""
    from timm import optim

    return optim


def _usable(name: str) -> Any:
    """What timm says of an optimiser.

    Raises:
        ValueError: it has none of this name, or one that cannot be used here.
    """
    if name.startswith("lookahead_"):
        raise ValueError(
            f"{name} keeps weights where no checkpoint finds them; "
            f"{name.removeprefix('lookahead_')} alone can be used"
        )
    known = _optim().list_optimizers()
    if name not in known:
        near = difflib.get_close_matches(name, known, 4, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "adan, lion and lamb are some it has"
        raise ValueError(f"timm has no optimiser {name!r}; {hint}")
    info = _optim().get_optimizer_info(name)
    if isinstance(info.opt_class, str):
        package = info.opt_class.partition(".")[0]
        raise ValueError(f"{name} is the package {package}'s; only timm's own can be used")
    if info.second_order:
        raise ValueError(f"{name} needs second derivatives, which training does not compute")
    if reason := UNSAVED.get(info.opt_class.__name__):
        raise ValueError(f"{name} {reason}: a run that broke off could not go on exactly")
    return info


def _check_options(info: Any, name: str, given: dict[str, Any]) -> None:
    """timm drops in silence what an optimiser does not take.

    Raises:
        ValueError: it does not take one of those given, or other betas.
    """
    has = {"betas": info.has_betas, "momentum": info.has_momentum, "eps": info.has_eps}
    taken = [option for option in has if has[option]]
    for option in given:
        if option not in taken:
            rest = f"; it has {', '.join(taken)}" if taken else ""
            raise ValueError(f"{name} has no {option}{rest}")
    if "betas" in given and len(given["betas"]) != info.num_betas:
        raise ValueError(f"{name} has {info.num_betas} betas, not {len(given['betas'])}")
