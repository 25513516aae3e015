"""Score a finished run again: on its sets or on other images, with its damage or another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from frx import evaluate
from frx.data import Samples, Subset, open_sets, open_whole
from frx.errors import RecipeError
from frx.lifecycle import build_hooks, plugin_manager
from frx.model_folder import Restorer
from frx.recipe import Recipe
from frx.registry import nearest


def score_run(
    run: Path,
    recipe: Recipe,
    out: Path,
    device: torch.device,
    splits: Sequence[str] = (),
    whole: str | None = None,
) -> dict[str, Any]:
    """Score the model of a run folder, write scores and pictures to `out`.

    `whole` names the recipe's data as one set, unsplit; otherwise its sets are scored, those in
    `splits` or all but "train".

    Raises:
        RecipeError: there is no such set.
        DataError: the run has no model yet.
    """
    restorer = Restorer.open(run, device, recipe.precision)
    manager = plugin_manager(build_hooks(recipe.hooks))

    def make(spec: Any) -> Any:
        return manager.hook.frx_make_dataset(spec=spec)

    sets: dict[str, Subset]
    if whole is not None:
        sets = {whole: open_whole(recipe.data, make)}
    else:
        sets = open_sets(recipe, make)
        for name in splits:
            if name not in sets:
                raise RecipeError(f"{run}: no set {name!r}; {nearest(name, sets)}")
        sets = {n: s for n, s in sets.items() if (n in splits if splits else n != "train")}
    degradations = [use.build() for use in recipe.degradations]
    metrics = evaluate.NamedMetric.build(recipe.metrics, device)
    made = {name: Samples(subset, recipe.seed, degradations) for name, subset in sets.items()}
    scores = evaluate.score_sets(restorer, made, metrics, device)
    return evaluate.write(out, scores, metrics)
