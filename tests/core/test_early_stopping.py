"""Early stopping: what it counts, when it ends a stage, what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from frx import experiment
from frx.checkpoint import pack, unpack
from frx.errors import RecipeError
from frx.hooks.early_stopping import EarlyStopping
from frx.interruption import Interrupted
from frx.recipe import Recipe, load
from frx.run import Position
from frx.scoring.scores import NamedMetric
from frx_metrics.mask_precision import MaskPrecision
from frx_metrics.psnr import PSNR

CPU = torch.device("cpu")

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 24
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "unet"
width = 4

[[stages]]
name = "first"
epochs = 6
batch_size = 8
optimizer = { use = "adam", lr = 1e-12 }
losses = [{ use = "l1" }, { use = "mse", name = "squares" }]

[[stages]]
name = "second"
epochs = 1
batch_size = 8
losses = [{ use = "l1" }]

[[metrics]]
use = "psnr"

[[hooks]]
use = "early_stopping"
patience = 2
min_delta = 1e-4
monitor = ["l1", "psnr whole"]
"""


class Error:
    """A metric of which less is better."""

    higher_is_better = False

    def __call__(self, restored: Any, clean: Any) -> Any: ...


def a_run(*validations: dict[str, float], epoch: int = 0) -> Any:
    """What the hook looks at: a run of one stage, with the losses masked_l1 and bce."""
    stage: Any = SimpleNamespace(name="train")
    losses = SimpleNamespace(labels=["masked_l1", "bce"])
    metrics = {"psnr": PSNR(), "error": Error(), "mask_precision": MaskPrecision()}
    return SimpleNamespace(
        position=Position(epoch=epoch),
        validation={},
        recipe=SimpleNamespace(stages=[stage]),
        stage=stage,
        losses=losses,
        losses_by_stage=[losses],
        metrics=[NamedMetric(name, metric) for name, metric in metrics.items()],
    )


def after(validations: Sequence[dict[str, float]], **options: Any) -> tuple[int | None, str]:
    """The validation (from 1) after which a stage ends with these, and what is said then."""
    hook, run = EarlyStopping(**options), a_run()
    hook.frx_run_start(run=run)
    hook.frx_stage_start(run=run)
    for number, validation in enumerate(validations, start=1):
        run.validation = validation
        hook.frx_validation_end(run=run)
        if run.position.stop:
            return number, run.position.stop
    return None, ""


def of(name: str, *values: float) -> list[dict[str, float]]:
    return [{name: value} for value in values]


def both(masked_l1: Sequence[float], bce: Sequence[float]) -> list[dict[str, float]]:
    pairs = zip(masked_l1, bce, strict=True)
    return [{"loss": a + b, "masked_l1": a, "bce": b} for a, b in pairs]


def test_it_stops_when_patience_is_at_its_end() -> None:
    assert after(of("loss", 3, 2, 2.5, 2.5, 2.5), patience=3)[0] == 5
    assert after(of("loss", 3, 2, 2.5, 2.5), patience=3)[0] is None


def test_an_improvement_sets_the_count_back() -> None:
    assert after(of("loss", 3, 3.1, 3.1, 2.9, 3.0, 3.0, 3.0), patience=3)[0] == 7


def test_less_than_min_delta_is_no_improvement() -> None:
    assert after(of("loss", 3, 2.95, 2.91), patience=2, min_delta=0.1)[0] == 3
    assert after(of("loss", 3, 2.89, 2.78), patience=2, min_delta=0.1)[0] is None


def test_a_metric_counts_the_way_in_which_it_is_better() -> None:
    assert (
        after(of("psnr damaged", 20, 21, 22, 23), patience=2, monitor=["psnr damaged"])[0] is None
    )
    assert after(of("psnr damaged", 20, 19, 18), patience=2, monitor=["psnr damaged"])[0] == 3
    assert after(of("error whole", 20, 21, 22), patience=2, monitor=["error whole"])[0] == 3
    assert after(of("error whole", 20, 19, 18), patience=2, monitor=["error whole"])[0] is None
    slow = of("psnr whole", 20, 20.05, 20.09)
    assert after(slow, patience=2, monitor=["psnr whole"], min_delta=0.1)[0] == 3


def test_a_loss_that_is_called_like_a_metric_stays_a_loss() -> None:
    hook, run = EarlyStopping(patience=2, monitor=["psnr hole"]), a_run()
    run.losses.labels.append("psnr hole")
    hook.frx_run_start(run=run)
    for loss in (3.0, 2.0, 1.0):
        run.validation = {"psnr hole": loss}
        hook.frx_validation_end(run=run)
    assert run.position.stop is None


def test_all_of_several_values_have_to_stand_still() -> None:
    monitor = ["masked_l1", "bce"]
    falls, stands = [5.0, 4.0, 3.0, 2.0], [1.0, 1.0, 1.0, 1.0]
    assert after(both(stands, falls), patience=2, monitor=monitor)[0] is None
    assert after(both(falls, stands), patience=2, monitor=monitor)[0] is None
    assert after(both(stands, stands), patience=2, monitor=monitor)[0] == 3
    # bce improves once more while masked_l1 has long been at the end of its patience.
    one = both([1, 1, 1, 1, 1, 1], [5, 5, 4, 4.5, 4.5, 4.5])
    assert after(one, patience=2, monitor=monitor) == (
        5,
        "no improvement in 2 validations (best: masked_l1 1, bce 4)",
    )
    # Its sum, alone, would have had an improvement in each validation.
    rising = both([1, 2, 3], [5, 3.5, 2])
    assert after(rising, patience=2, monitor=["masked_l1"])[0] == 3


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["loss", "psnr whole"])
def test_what_is_not_finite_is_no_improvement(name: str, nothing: float) -> None:
    stop = after(of(name, nothing, nothing), patience=2, monitor=[name])
    assert stop == (2, f"no improvement in 2 validations (best: {name} never finite)")
    between = of(name, 2, nothing, nothing)
    assert after(between, patience=2, monitor=[name])[0] == 3
    better = {"loss": 1.0, "psnr whole": 3.0}[name]
    assert after(of(name, nothing, 2, nothing, better), patience=2, monitor=[name])[0] is None


def test_a_metric_that_no_image_has_a_score_of_is_no_improvement() -> None:
    """A network that finds nothing yet has no precision."""
    validations = [{"loss": 1.0}, {"loss": 1.0}, {"loss": 1.0, "mask_precision whole": 0.4}]
    assert after(validations, patience=3, monitor=["mask_precision whole"])[0] is None
    assert after(validations, patience=2, monitor=["mask_precision whole"]) == (
        2,
        "no improvement in 2 validations (best: mask_precision whole never finite)",
    )


def test_a_region_that_no_image_has_is_refused_at_the_validation() -> None:
    sentence = (
        r"hook early_stopping: there is no 'psnr damaged' to monitor, as no damage is marked in the "
        r"images of val \(there is: loss, psnr whole\)"
    )
    with pytest.raises(RecipeError, match=sentence):
        after([{"loss": 1.0, "psnr whole": 20.0}], monitor=["psnr damaged"])


@pytest.mark.parametrize(
    "name", ["l1", "psnr", "psnr undamaged", "psnr hole", "ssim whole", "mask_precision damaged"]
)
def test_a_name_that_cannot_be_is_refused_before_the_run(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        EarlyStopping(monitor=["loss", name]).frx_run_start(run=a_run())
    assert str(caught.value) == (
        f"hook early_stopping: stage train has no {name!r} to monitor (there is: loss, masked_l1, "
        "bce, psnr whole, psnr damaged, error whole, error damaged, mask_precision whole)"
    )


def test_a_name_given_twice_would_count_twice() -> None:
    with pytest.raises(ValueError, match="monitor names 'bce' twice"):
        EarlyStopping(monitor=["bce", "loss", "bce"])


def test_it_goes_on_counting_after_a_resume_and_begins_anew_in_the_next_stage() -> None:
    options: Any = {"patience": 3, "monitor": ["masked_l1", "psnr whole"]}
    first, run = EarlyStopping(**options), a_run()
    first.frx_stage_start(run=run)
    for loss, psnr in ((3.0, 20.0), (3.1, math.nan)):
        run.validation = {"masked_l1": loss, "psnr whole": psnr}
        first.frx_validation_end(run=run)
    tree, _ = pack(first.state_dict())
    again = EarlyStopping(**options)
    again.load_state_dict(unpack(json.loads(json.dumps(tree)), {}))
    assert again.state_dict() == first.state_dict()
    run = a_run(epoch=2)
    run.validation = {"masked_l1": 3.1, "psnr whole": 20.0}
    again.frx_stage_start(run=run)
    again.frx_validation_end(run=run)
    assert run.position.stop is None
    again.frx_validation_end(run=run)
    assert run.position.stop == (
        "no improvement in 3 validations (best: masked_l1 3, psnr whole 20)"
    )
    assert first.state_dict()["waited"] == {"masked_l1": 1, "psnr whole": 1}
    new_stage = a_run()
    new_stage.validation = {"masked_l1": 9.0, "psnr whole": 9.0}
    again.frx_stage_start(run=new_stage)
    again.frx_validation_end(run=new_stage)
    assert new_stage.position.stop is None


def test_a_state_that_was_given_away_does_not_change_any_more() -> None:
    hook, run = EarlyStopping(), a_run()
    hook.frx_stage_start(run=run)
    run.validation = {"loss": 2.0}
    hook.frx_validation_end(run=run)
    state = hook.state_dict()
    hook.frx_validation_end(run=run)
    assert state == {"best": {"loss": 2.0}, "waited": {"loss": 0}}


def test_in_a_run_a_name_that_one_stage_lacks_is_refused_before_any_training(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = load(recipe_file, overrides=['hooks.early_stopping.monitor=["squares"]'])
    sentence = (
        r"stage second has no 'squares' to monitor \(there is: loss, l1, psnr whole, psnr damaged\)"
    )
    with pytest.raises(RecipeError, match=sentence):
        experiment.run(recipe, tmp_path / "run", CPU)
    assert not (tmp_path / "run/model").exists()


def test_in_a_run_an_unmarked_region_is_refused_at_the_first_validation(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = load(recipe_file, overrides=['hooks.early_stopping.monitor=["psnr damaged"]'])
    sentence = r"no damage is marked .* \(there is: loss, l1, squares, psnr whole\)"
    with pytest.raises(RecipeError, match=sentence):
        experiment.run(recipe, tmp_path / "run", CPU)


def test_a_run_stops_where_its_values_stand_still_also_after_a_break(
    recipe: Recipe,
    tmp_path: Path,
    bytes_of: Callable[[Path], dict[str, Any]],
    stop_after: Callable[[Recipe, Path, int], Interrupted],
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    experiment.run(recipe, whole, CPU)
    first = json.loads((whole / "run.json").read_bytes())["stages"][0]
    assert first["epochs"] == 3
    assert first["stop"].startswith("no improvement in 2 validations (best: l1 0.")
    stop_after(recipe, broken, 5)  # in the third epoch
    experiment.run(recipe, broken, CPU)
    assert bytes_of(broken) == bytes_of(whole)
