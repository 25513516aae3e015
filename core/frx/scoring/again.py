"""Score a finished run again: on its sets or on other images, with its damage or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tomli_w
import torch
from attrs import evolve, frozen
from torch import Tensor

from frx import files, images
from frx.data import Samples, Subset, open_sets, open_whole
from frx.errors import RecipeError
from frx.grids import to_pixels
from frx.lifecycle import build_hooks, dataset_maker, plugin_manager
from frx.loader import Batch
from frx.model_folder import Restorer
from frx.recipe import Data, Recipe
from frx.registry import nearest
from frx.scoring import evaluate
from frx.scoring.classical import NamedBaseline
from frx.scoring.rehearsal import rehearse
from frx.scoring.scores import NamedMetric


def score_run(
    run: Path,
    recipe: Recipe,
    out: Path,
    device: torch.device,
    splits: Sequence[str] = (),
    others: Mapping[str, Data] | None = None,
    mask_threshold: float | None = None,
) -> dict[str, Any]:
    """Score the model of a run folder, write scores, pictures and the recipe of both to `out`.

    The sets are those of the recipe in `splits`, then `others`, whole; without either, all of the
    recipe but "train".

    Raises:
        RecipeError: there is no such set, or there are two of one name; a metric or baseline of
            the recipe cannot score a set.
        DataError: the run has no model yet.
    """
    restorer = Restorer.open(run, device, recipe.compute, mask_threshold)
    make = dataset_maker(plugin_manager(build_hooks(recipe.hooks)))
    sets: dict[str, Subset] = {}
    if splits or not others:
        sets = open_sets(recipe, make)
        for name in splits:
            if name not in sets:
                raise RecipeError(f"{run}: no set {name!r}; {nearest(name, sets)}")
        sets = {n: s for n, s in sets.items() if (n in splits if splits else n != "train")}
    for name, data in (others or {}).items():
        if name in sets:
            raise RecipeError(
                f"{run}: has a set {name!r} of its own, which is scored as well; call the other "
                "one something else: --data NAME=FOLDER"
            )
        sets[name] = open_whole(data, make)
    degradations = [use.build() for use in recipe.degradations]
    metrics = NamedMetric.build(recipe.metrics, device, restorer.module)
    baselines = NamedBaseline.build(recipe.baselines)
    made = {name: Samples(subset, recipe.seed, degradations) for name, subset in sets.items()}
    rehearse(made, metrics, baselines, device)
    scores = evaluate.score_sets(restorer, made, metrics, device, Parts(out), baselines)
    as_scored = evolve(recipe, sets={**recipe.sets, **(others or {})})
    files.write(out / "recipe.toml", tomli_w.dumps(as_scored.table()))
    return evaluate.write(out, scores, metrics, baselines)


@frozen
class Parts:
    """Writes what became of each picture in part, one PNG each, below `out`/FOLDER/SET."""

    out: Path

    FOLDERS: ClassVar = {
        "predicted_images": "generated",
        "reconstructed_images": "image",
        "binary_masks": "found",
    }

    def __call__(self, label: str, batch: Batch, outputs: Mapping[str, Tensor]) -> None:
        """Write those of a batch, if a part of its pictures was replaced."""
        if "generated" not in outputs:
            return
        for folder, output in self.FOLDERS.items():
            for name, picture in zip(batch.names, outputs.get(output, ()), strict=False):
                path = files.below(self.out / folder / label, name).with_suffix(".png")
                pixels = to_pixels(picture)
                images.write(path, pixels[..., 0] if output == "found" else pixels)
