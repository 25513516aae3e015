from __future__ import annotations

from pathlib import Path

import attrs
import torch

from frx.build import Use
from frx.experiment import open_run
from frx.recipe import Recipe
from frx.run import train
from frx.testing import check_hook
from frx.tracking import Tracker

KIND = "hook"


def test_every_hook_keeps_its_promises(use: Use) -> None:
    check_hook(use.build())


def test_two_of_every_hook_sit_through_a_run_and_their_state_can_still_be_saved(
    use: Use, recipe: Recipe, tmp_path: Path
) -> None:
    with_hooks = attrs.evolve(recipe, hooks=[use, use])
    run = open_run(with_hooks, tmp_path / "run", torch.device("cpu"))
    run.folder.mkdir()
    train(run)
    assert run.step == 4
    for name in (use.name, f"{use.name}-2"):
        hook = run.hooks[name]
        if isinstance(hook, Tracker):
            assert hook.lost is None
            hook = hook.hook
        check_hook(hook)
