"""`frx check`: what a recipe would do, found out before it does it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from frx import looking_through
from frx.blind import composited
from frx.data import first_readable, open_sets
from frx.experiment import load_pretrained, open_run
from frx.images import shown
from frx.lifecycle import build_hooks, dataset_maker, plugin_manager
from frx.loader import Batch
from frx.progress import standard_output
from frx.recipe import Recipe
from frx.run import Run
from frx.scoring.scores import candidates

# What Python, torch and its libraries take before the first tensor, as seen on Linux.
BASE_BYTES = 700 * 2**20


def check(recipe: Recipe, device: torch.device, *, images: bool = False) -> None:
    """Print stages, data, parameters, a forward pass, memory, and settings that never act.

    With `images` every image of every set is read, too (`frx.looking_through`).

    Raises:
        FrxError: something that would stop `frx run`.
    """
    console = standard_output()
    found: list[str] = []
    if images:  # before all else, which would end at the first that cannot be read
        make = dataset_maker(plugin_manager(build_hooks(recipe.hooks)))
        found += looking_through.warnings(open_sets(recipe, make))
    with tempfile.TemporaryDirectory() as nowhere:
        run = open_run(recipe, Path(nowhere), device)
        load_pretrained(run.model)
        console.print(_data_table(run))
        modules: dict[str, nn.Module] = {}
        stages = _stage_table()
        found += idle_settings(run)
        for number in range(len(recipe.stages)):
            run.position.stage = number
            run.begin_stage()
            stages.add_row(*_stage_row(run))
            modules |= {name: network.module for name, network in run.networks.items()}
            never = getattr(run.trainer, "never_acts", lambda epochs: ())(run.stage.epochs)
            found += [f"stage {run.stage.name}: {reason}" for reason in never]
        run.position.stage = 0
        console.print(stages)
        for name, module in modules.items():
            console.print(_parameter_table(name, module))
        with torch.no_grad():
            one = next(run.loader("train").batches(_first(run, "train"), 1, epoch=0))
            outputs = run.forward("model", one)
            losses = run.losses(outputs, one)
            whole = next(run.loader("val").batches(_first(run, "val"), 1))
            restored = composited(run.forward("model", whole), whole["degraded"])
            judged = candidates(whole, restored)["restored"]
            scores = {
                metric.name: metric(judged, whole)[0]
                for metric in run.metrics
                if not metric.judges_set
            }
        given = ", ".join(f"{name} {tuple(value.shape)}" for name, value in one.items())
        made = ", ".join(f"{name} {tuple(value.shape)}" for name, value in outputs.items())
        values = ", ".join(f"{name} {value.item():.4g}" for name, value in losses.items())
        console.print(f"one image: {given}\n  → {made}\n  losses, weighted: {values}")
        scored = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        console.print(f"one of val, untrained: {scored or 'no metric to score it with'}")
        console.print(_memory_text(run, one, modules.values()))
        if not whole["mask"].any():
            found += [
                f"stage {stage.name}: loss {term.label} never acts: its region is the marked "
                "damage, and none is marked"
                for stage in recipe.stages
                for term in stage.losses
                if term.region is not None
            ]
        for warning in found:
            console.print(f"warning: {warning}", style="yellow", markup=False)
    console.print(f"{recipe.name}: nothing wrong", style="green")


def _data_table(run: Run) -> Table:
    table = Table(title="data", title_justify="left")
    for heading in ("set", "from", "images", "first"):
        table.add_column(heading)
    for name, subset in run.sets.items():
        data = run.recipe.sets.get(name, run.recipe.data)
        index, pictures = first_readable(subset)
        height, width = pictures["clean"].shape[:2]
        first = f"{shown(subset.dataset.name(index))}, {width}×{height}"
        table.add_row(name, data.dataset.name, str(len(subset)), Text(first))
    return table


def _first(run: Run, name: str) -> NDArray[np.int64]:
    return np.array([first_readable(run.sets[name])[0]], np.int64)


def _stage_table() -> Table:
    table = Table(title="stages", title_justify="left")
    for heading in ("stage", "trainer", "epochs × batches × images", "optimiser", "losses"):
        table.add_column(heading)
    return table


def _stage_row(run: Run) -> tuple[str, ...]:
    stage = run.stage
    named = {"": stage.optimizer, **stage.optimizers}
    optimizers = [
        f"{name}: {use.setting('name') or use.name}, lr {use.setting('lr')}".removeprefix(": ")
        for name, use in named.items()
    ]
    return (
        stage.name,
        stage.trainer.name,
        f"{stage.epochs} × {run.epoch_batches} × {stage.batch_size}",
        "; ".join([*optimizers, stage.schedule.name]),
        " + ".join(f"{term.weight:g} {term.label}" for term in stage.losses),
    )


def _parameter_table(name: str, module: nn.Module) -> Table:
    table = Table(title=f"network {name}", title_justify="left")
    table.add_column("block")
    table.add_column("parameters", justify="right")
    for block, child in module.named_children():
        count = sum(p.numel() for p in child.parameters())
        if count:
            table.add_row(block, f"{count:,}")
    table.add_section()
    table.add_row("total", f"{sum(p.numel() for p in module.parameters()):,}")
    return table


def _memory_text(run: Run, one: Batch, modules: Iterable[nn.Module]) -> str:
    """Weights, gradients and moments, and what a batch keeps for its backward pass."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = run.forward("model", one)
        kept = list(run.losses(outputs, one).values())
    del kept
    parameters = sum(p.numel() for module in modules for p in module.parameters())
    states = parameters * 4 * 4
    batch = max(stage.batch_size for stage in run.recipe.stages)
    activations = sum(seen.values()) * batch
    total = states + activations + (BASE_BYTES if run.device.type == "cpu" else 0)
    return (
        f"memory, estimated: {total / 2**30:.2f} GiB on {run.device} "
        f"(weights, gradients and optimiser {states / 2**20:.0f} MiB, "
        f"a batch of {batch} {activations / 2**20:.0f} MiB; {run.precision.name})"
    )


def idle_settings(run: Run) -> Iterator[str]:
    """Settings that make no difference, in a sentence each."""
    recipe = run.recipe
    for stage in recipe.stages:
        reason = getattr(stage.schedule.build(), "never_acts", lambda epochs: None)(stage.epochs)
        if reason:
            yield f"stage {stage.name}: schedule {stage.schedule.name} never acts: it {reason}"
        validations = -(-stage.epochs // stage.validate_every_epochs)
        for name, hook in run.hooks.items():
            reason = getattr(hook, "never_acts", lambda count: None)(validations)
            if reason:
                yield f"stage {stage.name}: hook {name} never acts: it {reason}"
        for term in stage.losses:
            if term.weight == 0:
                yield f"stage {stage.name}: loss {term.label} never acts: its weight is 0"
    _, brought = first_readable(run.sets["train"])
    if "degraded" in brought and recipe.degradations:
        yield "the degradations never act: the data bring damaged pictures of their own"
    if "degraded" not in brought and not recipe.degradations:
        yield "there are no degradations: the network learns to copy"
    if recipe.stages[0].start_from != "best":
        yield f"stage {recipe.stages[0].name}: start_from never acts: it is the first stage"
