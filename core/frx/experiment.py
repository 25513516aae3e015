"""A whole experiment: `frx run`, from a recipe to a run folder that holds all there is to know."""

from __future__ import annotations

import difflib
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tomli_w
import torch

import frx
from frx import files, ranks, report
from frx.checkpoint import Checkpoints
from frx.cores import cores
from frx.data import first_readable, open_sets
from frx.errors import DataError, RecipeError, ResourceError
from frx.hooks.checkpoints import SaveCheckpoints
from frx.hooks.log import Log
from frx.hooks.progress_bar import ProgressBar
from frx.hooks.watch import Watch
from frx.interruption import Interruption, listening
from frx.lifecycle import build_hooks, dataset_maker, plugin_manager
from frx.locking import locked
from frx.memory import is_out_of_memory
from frx.model_folder import Restorer, export
from frx.network import weights
from frx.precision import Precision
from frx.progress import duration, say
from frx.randomness import seed_of
from frx.recipe import Recipe, load
from frx.run import Run, train
from frx.scoring import evaluate
from frx.scoring.classical import NamedBaseline
from frx.scoring.rehearsal import rehearse
from frx.scoring.scores import NamedMetric
from frx.terms import Terms
from frx.tracking import Tracker

RECIPE, RECORD = "recipe.toml", "run.json"


def run(
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    *,
    fresh: bool = False,
    allow_env_change: bool = False,
) -> None:
    """Train, evaluate and report; go on where an earlier call was stopped.

    It goes on as it was begun, with as many threads; on another device or with another version of
    torch, which give other bytes, only where `allow_env_change` says so.

    Raises:
        FrxError: something the user can mend; what is done so far stays done.
    """
    if os.path.exists(folder) and not folder.is_dir():  # which stands names of any length
        raise RecipeError(f"{folder}: a file where the run folder would be; choose another --out")
    if fresh and ranks.rank() == 0:
        _set_aside(folder)
    with _own(folder) as folder, locked(folder):
        _same_recipe(recipe, folder)
        record = ranks.from_first(_read(folder))
        if record.get("finished"):
            if ranks.rank() == 0:
                say(f"{folder}: already complete (--fresh starts over)")
                report.print_scores(json.loads((folder / "scores.json").read_bytes()))
            return
        files.sweep(folder)
        started = time.monotonic()
        interruption = Interruption()
        current = open_run(recipe, folder, device, interruption, threads=record.get("threads"))
        files.write(folder / RECIPE, tomli_w.dumps(recipe.table()))
        record = _resume(current, record, allow_env_change)
        current.hooks["checkpoints"].began = started - record["seconds"]
        try:
            with _memory_explained(current), listening(interruption):
                train(current)
        finally:
            current.hooks["progress"].close()
            current.hooks["checkpoints"].close()
            record["seconds"] = round(time.monotonic() - current.hooks["checkpoints"].began, 1)
            _keep(folder, record)
        best = current.best_weights or weights(current.model)
        if ranks.rank() == 0:
            _finish(current, best, record)


@contextmanager
def _own(folder: Path) -> Iterator[Path]:
    """The run folder for rank 0; for another rank one for what its hooks write, which goes."""
    if ranks.rank() == 0:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="frx-") as other:
        yield Path(other)


def open_run(
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    interruption: Interruption | None = None,
    *,
    threads: int | None = None,
) -> Run:
    """Everything a run needs, built and placed, before the first step.

    `threads` is with how many it was begun, where it was.
    """
    compute = recipe.compute
    precision = Precision.choose(compute, device)
    torch.set_num_threads(threads or (cores() if compute.threads == "auto" else compute.threads))
    processes = f"{ranks.count()} × " if ranks.count() > 1 else ""
    say(f"{recipe.name} on {processes}{_describe(device)}: {_settings(precision)}")
    for stage in recipe.stages:
        if stage.batch_size < ranks.count():
            say(
                f"warning: stage {stage.name}: a batch of {stage.batch_size} leaves nothing to do "
                f"for {ranks.count() - stage.batch_size} of {ranks.count()} processes"
            )
    always = {"log": Log(), "progress": ProgressBar(), "watch": Watch()}
    chosen = build_hooks(recipe.hooks)
    if ranks.rank() > 0:  # one process to watch is enough
        chosen = {name: hook for name, hook in chosen.items() if not isinstance(hook, Tracker)}
    hooks = always | chosen
    hooks["checkpoints"] = SaveCheckpoints(
        Checkpoints(folder / "checkpoints"), interruption or Interruption()
    )
    manager = plugin_manager(hooks)
    sets = open_sets(recipe, dataset_maker(manager))
    torch.backends.cudnn.deterministic = True
    torch.manual_seed(seed_of(recipe.seed, "model"))
    model = precision.place(recipe.model.build())
    current = Run(
        recipe=recipe,
        folder=folder,
        precision=precision,
        sets=sets,
        hook=manager.hook,
        hooks=hooks,
        degradations=[use.build() for use in recipe.degradations],
        augmentations=[use.build() for use in recipe.augmentations],
        model=model,
        # Built now though used later: a weights file that is missing is found before training.
        losses_by_stage=[Terms.build(stage.losses, precision) for stage in recipe.stages],
        metrics=NamedMetric.build(recipe.metrics, device, model),
    )
    first_readable(sets["train"])
    scored = {name: current.samples(name) for name in sets if name != "train"}
    rehearse(scored, current.metrics, NamedBaseline.build(recipe.baselines), device)
    return current


def load_pretrained(model: Any) -> None:
    """Let a network that begins with weights from a file load them.

    Raises:
        DataError: there is no such file, or it is of another network.
    """
    if hasattr(model, "load_pretrained"):
        model.load_pretrained()


def _set_aside(folder: Path) -> None:
    """Keep an earlier run's folder under another name: its hours are not ours to delete."""
    if not os.path.isdir(folder) or not any(folder.iterdir()):
        return
    with locked(folder):
        number = 1
        while (other := folder.with_name(f"{folder.name}.before-{number}")).exists():
            number += 1
        folder.rename(other)
    say(f"{folder}: the run that was there is now {other}")


def _same_recipe(recipe: Recipe, folder: Path) -> None:
    path = folder / RECIPE
    if not path.exists():
        return
    # As it reads today, and not as it was written: an older frx wrote fewer keys.
    before, now = (tomli_w.dumps(one.table()).splitlines() for one in (load(path), recipe))
    changes = [
        line
        for line in difflib.unified_diff(before, now, lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    if changes:
        shown = "".join(f"\n    {line}" for line in changes[:8])
        raise RecipeError(
            f"{folder}: holds a run of another recipe (- then, + now); "
            f"--fresh starts over, --out goes elsewhere{shown}"
        )


def _read(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
        return found
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(f"{folder / RECORD}: damaged ({error}); --fresh starts over") from error


def _resume(run: Run, record: dict[str, Any], allow_env_change: bool) -> dict[str, Any]:
    """Load the newest checkpoint, if there is one, and bring the record up to date."""
    now = {
        "frx": frx.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": _describe(run.device),
        "precision": run.precision.name,
        "memory_format": run.precision.memory_format,
        "compile": run.precision.compiled,
        "threads": torch.get_num_threads(),
        "world_size": ranks.count(),
        "data": {name: subset.dataset.fingerprint() for name, subset in run.sets.items()},
        "images": {name: len(subset) for name, subset in run.sets.items()},
    }
    mine = (tomli_w.dumps(run.recipe.table()), now["data"])
    if ranks.from_first(mine) != mine:
        raise DataError("other data or another recipe than rank 0 has: all machines need the same")
    parts, passed = ranks.from_first(run.hooks["checkpoints"].checkpoints.load())
    for sentence in passed:
        say(f"warning: {sentence}")
    if parts is not None:
        if record.get("data", now["data"]) != now["data"]:
            raise DataError(
                f"{run.folder}: the data are no longer those it was begun with "
                f"({record['images']} images then, {now['images']} now); --fresh starts over"
            )
        changes = _changes(run.folder, record, now, allow_env_change)
        run.load(parts["state"], parts.get("best"))
        run.warnings += [f"from step {run.step + 1} on {change}" for change in changes]
        position, stage = run.position, run.stage
        done = position.stop or position.epoch == stage.epochs
        where = "after its end" if done else f"epoch {position.epoch + 1}/{stage.epochs}"
        say(f"{run.folder}: goes on in stage {stage.name}, {where}, step {run.step}")
    else:
        load_pretrained(run.model)
    # A run that was killed could not write its record.
    seconds = max(record.get("seconds", 0.0), run.hooks["checkpoints"].checkpoints.seconds)
    record = {"seconds": seconds, "finished": False, **now}
    files.write(run.folder / RECORD, json.dumps(record, indent=2))
    return record


def _changes(folder: Path, then: dict[str, Any], now: dict[str, Any], allowed: bool) -> list[str]:
    """What gives other bytes than where the run was begun, or last allowed to go on.

    Raises:
        RecipeError: something does, and that is not allowed.
    """
    compute = ("precision", "memory_format", "compile", "threads")
    keys = ("torch", "device", *compute, "world_size")
    changed = [key for key in keys if then.get(key, now[key]) != now[key]]
    if changed and not allowed:
        shown = "".join(f"\n    -{key} = {then[key]}\n    +{key} = {now[key]}" for key in changed)
        raise RecipeError(
            f"{folder}: holds a run that was begun otherwise, and would end with other bytes here "
            "(- then, + now); --allow-env-change goes on all the same, --fresh starts over, --out "
            f"goes elsewhere{shown}"
        )
    changes = [f"{key} was {then[key]} and is {now[key]}" for key in changed]
    for change in changes:
        say(f"warning: {change}: the bytes are not those of a run without a break")
    return changes


def _keep(folder: Path, record: dict[str, Any]) -> None:
    """Write the record of a run that ends; what ended it is not to be hidden by a full disk."""
    try:
        files.write(folder / RECORD, json.dumps(record, indent=2))
    except ResourceError as error:
        say(f"warning: {error}")


def _settings(precision: Precision) -> str:
    """How a run computes, in a line."""
    threads = torch.get_num_threads()
    return ", ".join(
        [
            precision.name,
            precision.memory_format,
            "compiled" if precision.compiled else "not compiled",
            f"{threads} thread{'s' * (threads > 1)}  ([compute] in the recipe changes these)",
        ]
    )


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":  # the instructions that it has change how sums are rounded
        return f"cpu ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return f"{device.type} ({platform.machine()})"


@contextmanager
def _memory_explained(run: Run) -> Iterator[None]:
    """Out of memory, said so that one knows what to change."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        shape = list(run.batch["degraded"].shape) if run.batch else "unknown"
        half = max(1, run.stage.batch_size // 2)
        raise ResourceError(
            f"stage {run.stage.name}: out of memory on {run.device} at a batch of shape {shape}; "
            f"try --set stages.{run.stage.name}.batch_size={half} and accumulate=2"
        ) from error


def _side(run: Run) -> int | None:
    """Height and width of the pictures a run learned on, None if they are of several sizes."""
    train = run.sets["train"]
    for index in train.indices if train.same_size else ():
        with suppress(DataError, ValueError):  # an unreadable image that was left out
            height, width = run.samples("train").make(int(index), epoch=0)["clean"].shape[:2]
            return height if height == width else None
    return None


def _finish(run: Run, best: dict[str, torch.Tensor], record: dict[str, Any]) -> None:
    """Export the best weights, score them, write the report."""
    about = {
        "recipe": run.recipe.name,
        "stage": run.stage.name,
        "epoch": run.position.best_epoch,
        "validation_loss": run.position.best,
        "size": _side(run),
        "frx": frx.__version__,
    }
    others = {n: network.module for n, network in run.networks.items() if n != "model"}
    export(run.folder / "model", run.recipe.model, best, about, others)
    restorer = Restorer.open(run.folder, run.device, run.recipe.compute)
    sets = {name: run.samples(name) for name in run.sets if name != "train"}
    baselines = NamedBaseline.build(run.recipe.baselines)
    scores = evaluate.score_sets(restorer, sets, run.metrics, run.device, baselines=baselines)
    summary = evaluate.write(run.folder, scores, run.metrics, baselines)
    record["finished"] = True
    record["bad_images"] = run.bad_images
    lost = [hook.lost for hook in run.hooks.values() if isinstance(hook, Tracker) and hook.lost]
    record["warnings"] = run.warnings + lost
    record["stages"] = run.finished_stages
    report.write(run.folder, run.recipe, record, summary)
    files.write(run.folder / RECORD, json.dumps(record, indent=2))
    report.print_scores(summary)
    if run.bad_images:
        first = "; ".join(list(run.bad_images.values())[:3])
        say(f"{len(run.bad_images)} unreadable images were left out: {first}")
    for warning in record["warnings"]:
        say(f"warning: {warning}")
    say(f"trained in {duration(record['seconds'])}; look at {run.folder / 'report.html'}")
