"""Whole runs: real training for a few steps, stopped, killed, continued, and what they leave."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from frx import experiment
from frx.errors import BusyError, DataError, DivergedError, RecipeError
from frx.recipe import Recipe, load

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 24
count = 20

[[augmentations]]
use = "horizontal_flip"

[[degradations]]
use = "one_of"
of = [{ use = "gaussian_noise" }, { use = "downsample" }]

[model]
use = "unet"
width = 4
predict = "correction"

[[stages]]
name = "first"
epochs = 2
batch_size = 4
accumulate = 3
optimizer = { use = "adam", lr = 1e-2 }
schedule = { use = "cosine" }
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 2
batch_size = 5
clip_norm = 1.0
losses = [{ use = "mse", weight = 10 }, { use = "l1", weight = 0.5 }]

[[metrics]]
use = "psnr"

[[hooks]]
use = "early_stopping"

[[hooks]]
use = "samples"
count = 2

[[hooks]]
use = "curves"
"""


CPU = torch.device("cpu")


def test_what_happens_every_so_many_epochs_happens_at_the_end_of_a_stage_too(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = load(recipe_file, overrides=["stages.first.epochs=7"])
    run = experiment.open_run(recipe, tmp_path / "run", CPU)
    due = []
    for epoch in range(1, 8):
        run.position.epoch = epoch
        due.append(run.is_due(3))
    assert due == [False, False, True, False, False, True, True]
    run.position.epoch, run.position.stop = 4, "no improvement"
    assert run.is_due(3)


def test_a_run_leaves_all_that_is_promised(recipe: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    experiment.run(recipe, folder, CPU)
    for name in (
        "recipe.toml",
        "run.json",
        "log.jsonl",
        "scores.json",
        "scores.csv",
        "curves.png",
        "report.html",
        "samples/first-0002.png",
        "samples/test.png",
        "checkpoints/manifest.json",
        "model/model.safetensors",
        "model/model.json",
    ):
        assert (folder / name).stat().st_size > 0, name
    scores = json.loads((folder / "scores.json").read_bytes())
    whole = scores["sets"]["test"]["metrics"]["psnr"]["whole"]
    assert whole["gain"] == pytest.approx(whole["restored"] - whole["input"])
    assert set(scores["sets"]) == {"val", "test"}
    assert len((folder / "scores.csv").read_text().splitlines()) == 1 + 2 + 2
    assert load(folder / "recipe.toml").table() == recipe.table()
    report = (folder / "report.html").read_text()
    assert "data:image/png;base64," in report
    assert "http" not in report.replace("http-equiv", "")


@pytest.mark.parametrize("steps", [1, 4, 5, 9, 13])
def test_stopped_anywhere_and_continued_the_bytes_are_the_same(
    steps: int, recipe: Recipe, tmp_path: Path, bytes_of: Any, stop_after: Any
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    experiment.run(recipe, whole, CPU)
    stopped = stop_after(recipe, broken, steps)
    assert "the same command goes on" in str(stopped)
    assert stopped.exit_code == 143
    experiment.run(recipe, broken, CPU)
    assert bytes_of(broken) == bytes_of(whole)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_changes_no_byte(
    workers: int, recipe_file: Path, tmp_path: Path, bytes_of: Any
) -> None:
    hashes = []
    for count in (0, workers):
        loaded = load(recipe_file, overrides=[f"data.workers={count}"])
        folder = tmp_path / f"workers-{count}"
        experiment.run(loaded, folder, CPU)
        hashes.append({k: v for k, v in bytes_of(folder).items() if k != "checkpoint"})
    assert hashes[0] == hashes[1]


def test_a_finished_run_says_so_and_changes_nothing(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    folder = tmp_path / "run"
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    experiment.run(recipe, folder, CPU)
    assert "already complete" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_fresh_sets_the_earlier_run_aside(recipe: Recipe, tmp_path: Path) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    (tmp_path / "run" / "note.txt").write_text("mine")
    experiment.run(recipe, tmp_path / "run", CPU, fresh=True)
    assert (tmp_path / "run.before-1" / "note.txt").read_text() == "mine"
    assert not (tmp_path / "run" / "note.txt").exists()


def test_another_recipe_in_the_folder_is_refused_with_the_difference(
    recipe: Recipe, recipe_file: Path, tmp_path: Path
) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    other = load(recipe_file, overrides=["stages.first.epochs=3"])
    with pytest.raises(RecipeError, match=r"(?s)another recipe.*-epochs = 2.*\+epochs = 3"):
        experiment.run(other, tmp_path / "run", CPU)


@pytest.mark.parametrize("change", ["renamed", "added", "removed", "modified"])
def test_changed_data_are_noticed_on_resume(
    change: str, recipe_file: Path, tmp_path: Path, stop_after: Any
) -> None:
    from frx import images
    from frx.datasets.synthetic_faces import SyntheticFaces

    photos = tmp_path / "photos"
    photos.mkdir()
    faces = SyntheticFaces(size=24, count=20)
    for index in range(20):
        images.write(photos / f"{index}.png", faces[index]["clean"])
    loaded = load(recipe_file, overrides=["data.use=folder", f"data.path={photos}"])
    stop_after(loaded, tmp_path / "run", 3)
    first = photos / "0.png"
    match change:
        case "renamed":
            first.rename(photos / "new.png")
        case "added":
            (photos / "new.png").write_bytes(first.read_bytes())
        case "removed":
            first.unlink()
        case "modified":
            images.write(first, 255 - images.read_rgb(first) // 2)
            os.utime(photos)  # as an editor does that writes beside the old file and renames
    with pytest.raises(DataError, match="no longer those it was begun with"):
        experiment.run(loaded, tmp_path / "run", CPU)


def test_a_damaged_checkpoint_costs_one_generation_not_the_run(
    recipe: Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bytes_of: Any,
    stop_after: Any,
) -> None:
    experiment.run(recipe, tmp_path / "whole", CPU)
    stop_after(recipe, tmp_path / "run", 12)
    manifest = json.loads((tmp_path / "run/checkpoints/manifest.json").read_bytes())
    newest = tmp_path / "run/checkpoints" / manifest["generations"][-1]["parts"]["state"]["file"]
    newest.write_bytes(newest.read_bytes()[:-100])
    experiment.run(recipe, tmp_path / "run", CPU)
    assert f"{newest.name}: has" in capsys.readouterr().err.replace("\n", "")
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")


def test_two_runs_in_one_folder_the_second_is_told_who_is_there(
    recipe: Recipe, tmp_path: Path
) -> None:
    with (
        experiment.locked(tmp_path / "run"),
        pytest.raises(BusyError, match=f"in use by process {os.getpid()} on"),
    ):
        experiment.run(recipe, tmp_path / "run", CPU)


def test_a_loss_that_is_no_number_stops_before_the_weights(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frx import terms

    clean_call = terms.Term.__call__
    calls = []

    def spoilt(self: terms.Term, *arguments: object) -> torch.Tensor:
        calls.append(1)
        return clean_call(self, *arguments) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(terms.Term, "__call__", spoilt)
    with pytest.raises(DivergedError, match="stage first, step 3: the loss of model is nan"):
        experiment.run(recipe, tmp_path / "run", CPU)


def test_the_best_weights_of_the_last_stage_are_exported(recipe: Recipe, tmp_path: Path) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    about = json.loads((tmp_path / "run/model/model.json").read_bytes())
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    losses = {
        round(line["epoch"]): line["loss"]
        for line in lines
        if line["kind"] == "val" and line["stage"] == "second"
    }
    best = min(losses, key=lambda epoch: losses[epoch])
    assert (about["stage"], about["epoch"]) == ("second", best)
    weights = safetensors.torch.load_file(tmp_path / "run/model/model.safetensors")
    assert sum(w.numel() for w in weights.values()) == sum(
        p.numel() for p in recipe.model.build().parameters()
    )
