"""Numbers that are not finite: found before a weight moves, named, kept, or left out as asked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from frx import experiment, images
from frx.checkpoint import Checkpoints
from frx.errors import DivergedError
from frx.loader import Loader
from frx.recipe import Recipe, load
from frx.run import Run
from frx.specs import hookimpl

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
BATCHES = 4

TINY = """\
name = "tiny"
data = { use = "synthetic_faces", size = 16, count = 20 }
degradations = ["gaussian_noise"]
model = { use = "pix2pix_unet", levels = 2, width = 2 }
hooks = ["ema", "gradient_norms"]

[[stages]]
name = "only"
epochs = 2
batch_size = 4
losses = ["l1", { use = "saboteur", weight = 0.5 }]

  [stages.trainer]
  use = "adversarial"
  discriminator = "small_patchgan"
  game = "vanilla"
"""

# Beside the model's own losses; what it does counts the batches of training alone.
SABOTEUR = """\
import torch


class Spoils(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("nan")


class Saboteur:
    '''A loss that is a number, but for some batches.'''

    plan = {}
    batch = 0

    def __call__(self, restored, clean):
        value = (restored - clean).square().mean()
        if not torch.is_grad_enabled():
            return value * Saboteur.plan.get("val", 1.0)
        Saboteur.batch += 1
        match Saboteur.plan.get(Saboteur.batch):
            case None:
                return value
            case "gradient":
                return Spoils.apply(value)
            case factor:
                return value * factor
"""


@pytest.fixture
def plan(install: Callable[..., Path]) -> dict[Any, Any]:
    """What the loss of `TINY` is to do in which batch, counted from 1."""
    install("saboteur", SABOTEUR, "[frx.losses]\nsaboteur = saboteur:Saboteur\n")
    import saboteur

    planned: dict[Any, Any] = saboteur.Saboteur.plan
    return planned


@pytest.fixture
def recipe(plan: dict[Any, Any], recipe_file: Path) -> Recipe:
    return load(recipe_file)


def refused(recipe: Recipe, folder: Path) -> str:
    with pytest.raises(DivergedError) as caught:
        experiment.run(recipe, folder, CPU)
    assert caught.value.exit_code == 4
    return str(caught.value)


def all_is_finite(folder: Path) -> bool:
    """Whether every number in every file of tensors of a run is."""
    paths = [*folder.glob("checkpoints/*.safetensors"), *folder.glob("model/*.safetensors")]
    tensors = [tensor for path in paths for tensor in safetensors.torch.load_file(path).values()]
    assert len(tensors) > 50
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


# Before a weight moves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        (math.nan, r"the loss of model is nan \(saboteur is nan\), not finite"),
        (-math.inf, r"the loss of model is -inf \(saboteur is -inf\), not finite"),
        ("gradient", r"the gradient of model \(of its weight \S+\) is not finite"),
    ],
)
def test_it_stops_names_the_term_and_keeps_the_batch(
    deed: Any, found: str, recipe: Recipe, plan: dict[Any, Any], tmp_path: Path
) -> None:
    plan[BATCHES + 2] = deed
    folder = tmp_path / "run"
    said = refused(recipe, folder)
    kept = folder / "diverged/step-000000006.safetensors"

    assert re.match(f"stage only, step 6: {found}; no weight of model was changed; ", said)
    assert f"their batch is in {kept}, and as a picture in {kept.stem}.png; a lower" in said
    with safe_open(kept, "pt") as opened:
        names = json.loads(opened.metadata()["names"])
    assert f"the images: {', '.join(names)};" in said
    batch = safetensors.torch.load_file(kept)
    run = experiment.open_run(recipe, folder, CPU)
    for number, name in enumerate(names):
        dataset = run.sets["train"].dataset
        (index,) = (i for i in range(len(dataset)) if dataset.name(i) == name)
        made = run.samples("train").make(index, epoch=1)
        for key in ("clean", "degraded"):
            pixels = np.moveaxis(batch[key][number].mul(255).round().byte().numpy(), 0, 2)
            assert np.array_equal(pixels, made[key])
    assert images.read_rgb(kept.with_suffix(".png")).shape[0] > 4 * 16
    assert all_is_finite(folder)
    plan.clear()
    experiment.run(recipe, folder, CPU)  # it goes on from the checkpoint before


def test_a_discriminator_alone_that_diverges_is_named(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frx_losses.vanilla import Vanilla

    real, calls = Vanilla.real, []

    def spoilt(self: Vanilla, logits: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return real(self, logits) * (math.inf if len(calls) == BATCHES + 1 else 1)

    monkeypatch.setattr(Vanilla, "real", spoilt)
    said = refused(recipe, tmp_path / "run")
    assert "step 5: the loss of discriminator is inf (discriminator is inf), not finite" in said
    assert "no weight of discriminator was changed" in said
    assert all_is_finite(tmp_path / "run")


def test_a_batch_that_cannot_be_kept_does_not_hide_what_happened(
    recipe: Recipe, plan: dict[Any, Any], tmp_path: Path
) -> None:
    plan[1] = math.nan
    (tmp_path / "run").mkdir()
    (tmp_path / "run/diverged").write_text("a file where the folder would be")
    said = refused(recipe, tmp_path / "run")
    assert "the loss of model is nan (saboteur is nan)" in said
    assert "their batch could not be kept: " in said


def test_a_validation_without_numbers_has_no_best_weights(
    recipe: Recipe, plan: dict[Any, Any], tmp_path: Path
) -> None:
    plan["val"] = math.nan
    said = refused(recipe, tmp_path / "run")
    assert "stage only, step 4: over the images of val saboteur is nan, not finite" in said


# Left out as the recipe says ----------------------------------------------------------------------


class Witness:
    """Notes what each step leaves of weights, buffers, averages and gradients."""

    def __init__(self) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []

    @hookimpl(trylast=True)
    def frx_step_end(self, run: Run) -> None:
        state = run.state()
        weights = {
            f"{n}.{k}": v for n, s in state["networks"].items() for k, v in s["weights"].items()
        }
        averages = {f"ema.{k}": v for k, v in state["hooks"]["ema"]["average"].items()}
        self.seen.append({k: v.clone() for k, v in (weights | averages).items()})
        assert run.log.keys() in ({"l1", "saboteur", "adversarial", "discriminator"}, set()) or any(
            key.startswith("gradient norm") for key in run.log
        )

    def changed_in(self, step: int) -> set[str]:
        """What step `step`, counted from 1, changed."""
        before, after = self.seen[step - 2], self.seen[step - 1]
        return {name for name in after if not torch.equal(before[name], after[name])}


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    found, build = Witness(), experiment.build_hooks
    monkeypatch.setattr(experiment, "build_hooks", lambda uses: {**build(uses), "it": found})
    return found


@pytest.fixture
def third_batch_is_spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every epoch: its pictures are no numbers, and so are running statistics of them."""

    batches = Loader.batches

    def spoilt(*given: Any, skip: int = 0, epoch: int | None = None, **more: Any) -> Any:
        made = batches(*given, skip=skip, epoch=epoch, **more)
        for number, batch in enumerate(made, start=skip + 1):
            if number == 3 and epoch is not None:
                batch["degraded"].fill_(math.nan)
            yield batch

    monkeypatch.setattr(Loader, "batches", spoilt)


@pytest.mark.usefixtures("third_batch_is_spoilt")
def test_an_update_is_left_out_without_a_trace(
    recipe_file: Path,
    plan: dict[Any, Any],
    tmp_path: Path,
    witness: Witness,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = load(recipe_file, overrides=["stages.only.skip_nonfinite=4"])
    folder = tmp_path / "run"
    experiment.run(recipe, folder, CPU)
    said = capsys.readouterr().err
    for step in (3, BATCHES + 3):
        assert witness.changed_in(step) == set()  # neither network, nor their running statistics
        assert any(name.startswith("model.") for name in witness.changed_in(step + 1))
    assert "step 3: the loss of discriminator is nan (discriminator is nan), not finite" in said
    assert "the update is left out (1 of at most 4); the images: " in said
    sentence = "stage only: updates left out, as a loss or a gradient was not finite: 4"
    assert f"warning: {sentence}" in said
    record = json.loads((folder / "run.json").read_bytes())
    assert record["warnings"] == [sentence]
    assert record["stages"][0]["skipped"] == 4
    assert sentence in (folder / "report.html").read_text()
    assert "NaN" not in (folder / "log.jsonl").read_text()
    assert all_is_finite(folder)


def test_gradients_that_wait_for_it_are_dropped_with_it_and_it_survives_a_break(
    recipe_file: Path,
    plan: dict[Any, Any],
    tmp_path: Path,
    witness: Witness,
    bytes_of: Any,
    stop_after: Any,
) -> None:
    import saboteur

    overrides = ["stages.only.skip_nonfinite=1", "stages.only.accumulate=2"]
    recipe = load(recipe_file, overrides=overrides)
    plan[2] = "gradient"
    experiment.run(recipe, tmp_path / "whole", CPU)
    moved = [
        step
        for step in range(2, 2 * BATCHES + 1)
        if any("weight" in name for name in witness.changed_in(step) if name.startswith("model."))
    ]
    assert moved == [4, 6, 8]  # the discriminator's also in step 2, for it was well there
    assert any(name.startswith("discriminator.") for name in witness.changed_in(2))
    saboteur.Saboteur.batch = 0
    stop_after(recipe, tmp_path / "broken", 1)
    assert saboteur.Saboteur.batch == 2
    experiment.run(recipe, tmp_path / "broken", CPU)
    assert bytes_of(tmp_path / "broken") == bytes_of(tmp_path / "whole")


def test_one_more_than_may_be_left_out_stops_the_run(
    recipe_file: Path, plan: dict[Any, Any], tmp_path: Path
) -> None:
    plan |= {1: math.nan, 3: math.inf}
    recipe = load(recipe_file, overrides=["stages.only.skip_nonfinite=1"])
    said = refused(recipe, tmp_path / "run")
    assert "step 3: the loss of model is inf (saboteur is inf), not finite, after 1 update " in said


# Never saved --------------------------------------------------------------------------------------


class Poisons:
    """Puts something into what the model keeps, at the end of a step."""

    def __init__(self, key: str, step: int) -> None:
        self.key, self.step = key, step

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        if run.step == self.step:
            network = run.networks["model"]
            parameter = network.parameters[0]
            tensors = {
                **network.module.state_dict(),
                "exp_avg": network.optimizer.state[parameter]["exp_avg"],
            }
            (found,) = [t for name, t in tensors.items() if name.endswith(self.key)][:1]
            found.fill_(math.nan)


@pytest.mark.parametrize("key", ["running_var", "exp_avg"])
def test_a_state_that_is_not_finite_is_not_saved_and_what_was_before_stays(
    key: str,
    recipe_file: Path,
    plan: dict[Any, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = experiment.build_hooks
    poison = Poisons(key, 2 * BATCHES)
    monkeypatch.setattr(experiment, "build_hooks", lambda uses: {"it": poison, **build(uses)})
    overrides = ["stages.only.epochs=3", "stages.only.validate_every_epochs=3"]
    folder = tmp_path / "run"
    said = refused(load(recipe_file, overrides=overrides), folder)
    assert re.search(
        rf"after step 8 networks/model/\S+{key} holds a number that is not finite", said
    )
    manifest = json.loads((folder / "checkpoints/manifest.json").read_bytes())
    assert [generation["step"] for generation in manifest["generations"]] == [BATCHES]
    assert all_is_finite(folder)


@pytest.mark.parametrize("lr", ["1e38", "1e20"])
def test_a_learning_rate_that_blows_everything_up_ends_without_a_trace_on_disk(
    lr: str, recipe_file: Path, plan: dict[Any, Any], tmp_path: Path
) -> None:
    overrides = [f"stages.only.optimizer={{use='sgd', lr={lr}}}", "stages.only.epochs=1"]
    refused(load(recipe_file, overrides=overrides), tmp_path / "run")
    assert not list((tmp_path / "run").glob("checkpoints/*.safetensors"))


KINDS = ["float64", "float32", "float16", "bfloat16", "complex64", "float8_e5m2", "float8_e4m3fn"]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_kind_are_looked_at(kind: str, tmp_path: Path) -> None:
    dtype = getattr(torch, kind)
    checkpoints = Checkpoints(tmp_path)
    ends = torch.finfo(dtype)
    numbers = torch.tensor([ends.max, -ends.max, ends.tiny, -0.0], dtype=torch.float64)
    finite = numbers.repeat(70_000).to(dtype)
    parts = {
        "state": {
            "w": finite,
            "n": torch.tensor([2**31 - 1]),
            "hooks": {"best": torch.tensor(math.inf)},
        }
    }
    checkpoints.save(1, parts)
    checkpoints.wait()
    for value in [math.nan] if kind == "float8_e4m3fn" else [math.nan, math.inf, -math.inf]:
        spoilt = finite.clone()
        spoilt[200_001] = value
        checkpoints.save(2, {"state": {"w": spoilt}})
        with pytest.raises(DivergedError, match="after step 2 w holds a number that is not finite"):
            checkpoints.wait()
    read, _ = Checkpoints(tmp_path).load()
    assert read is not None
    assert torch.equal(read["state"]["w"].view(torch.uint8), finite.view(torch.uint8))
