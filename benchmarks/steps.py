"""A training step of each of the five systems beside the same in float32, contiguous.

The step is that of each recipe's last stage: forward, losses, backward, discriminator, optimisers;
its batches lie ready in memory. frx computes as it does by default on this machine. The peer is the
same trainer with `[compute]` set to float32 and contiguous, and torch's Adam as it is by default.
Batches are smaller than in some recipes, and HiFaceGAN's pictures too, for the sake of time. Both
have processes of their own, as what `frx.run.train` sets up holds for a whole process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.apart import apart
from benchmarks.measuring import Row, paired
from frx.allocation import keep_freed_memory
from frx.experiment import open_run
from frx.loader import Batch
from frx.recipe import load
from frx.run import Position

RECIPES = Path(__file__).parents[1] / "recipes"
# Side of what a step sees, after the recipe's random crop; pictures of a batch; rounds.
SYSTEMS = {
    "unet_faces": (64, 16, 9),
    "old_photo_gan": (256, 4, 5),
    "dual_decoder": (192, 4, 5),
    "inpaint_gan": (200, 2, 5),
    "hifacegan": (256, 1, 3),
}
PLAIN = ('compute.precision="fp32"', 'compute.memory_format="contiguous"')


def step(name: str, size_px: int, batch: int, plain: bool) -> Callable[[], object]:
    """A call that takes one step of the last stage of a recipe."""
    if not plain:
        keep_freed_memory()  # as `frx.run.train` does
    few = (f"data.size={size_px}", "data.count=10", "hooks=[]")
    recipe = load(RECIPES / f"{name}.toml", overrides=[*few, *(PLAIN if plain else ())])
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(recipe, Path(folder), torch.device("cpu"))
    run.position = Position(stage=len(recipe.stages) - 1)
    run.begin_stage()
    for network in run.networks.values():
        network.module.train()
        for group in network.optimizer.param_groups if plain else ():
            group["fused"] = None
    run.batch = pictures(size_px, batch, plain)
    return lambda: run.trainer.step(run, run.batch)


def pictures(size_px: int, count: int, plain: bool) -> Batch:
    """Pictures of noise, an eighth of each marked as damaged."""
    torch.manual_seed(0)
    layout = torch.contiguous_format if plain else torch.channels_last
    mask = torch.zeros(count, 1, size_px, size_px)
    mask[..., : size_px // 4, : size_px // 2] = 1
    tensors = {
        key: torch.rand(count, 3, size_px, size_px).contiguous(memory_format=layout)
        for key in ("clean", "degraded")
    }
    return Batch({**tensors, "mask": mask}, [str(number) for number in range(count)], [])


def rows() -> Iterator[Row]:
    for name, (size_px, batch, rounds) in SYSTEMS.items():
        with (
            apart(step, name, size_px, batch, False) as ours,
            apart(step, name, size_px, batch, True) as plain,
        ):
            times = paired({"frx": ours, "fp32, contiguous": plain}, rounds=rounds)
        yield times.times_better(
            f"{name}, {size_px} px, batch {batch}: step", "fp32, contiguous", "≥ 2.5"
        )
