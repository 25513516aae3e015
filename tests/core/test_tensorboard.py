"""What TensorBoard is shown, read back with its own reader."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frx import experiment, images
from frx.recipe import Recipe, load
from frx.run import Run
from frx.specs import hookimpl

pytest.importorskip("tensorboard")

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 16
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "unet"
width = 4

[[stages]]
name = "first"
epochs = 2
batch_size = 4
validate_every_epochs = 2
optimizer = { use = "adam", lr = 1e-3 }
schedule = { use = "cosine" }
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 1
batch_size = 8
losses = [{ use = "mse" }]

[[metrics]]
use = "psnr"

[[hooks]]
use = "tensorboard"

[[hooks]]
use = "samples"
"""


class Shown:
    """What TensorBoard makes of a run folder."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        everything = {"scalars": 0, "images": 0, "tensors": 0}
        self.events = EventAccumulator(str(folder / "tensorboard"), everything).Reload()

    @property
    def scalars(self) -> dict[str, list[tuple[int, float]]]:
        return {
            tag: [(event.step, event.value) for event in self.events.Scalars(tag)]
            for tag in self.events.Tags()["scalars"]
        }

    @property
    def pictures(self) -> dict[str, list[tuple[int, bytes]]]:
        return {
            tag: [(event.step, event.encoded_image_string) for event in self.events.Images(tag)]
            for tag in self.events.Tags()["images"]
        }

    @property
    def texts(self) -> dict[str, list[str]]:
        return {
            tag: [event.tensor_proto.string_val[0].decode() for event in self.events.Tensors(tag)]
            for tag in self.events.Tags()["tensors"]
        }


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a break."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "tiny.toml").write_text(TINY)
    experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return folder / "run"


def test_every_value_of_the_log_is_a_curve_over_the_steps_of_the_run(once: Path) -> None:
    lines = [json.loads(line) for line in (once / "log.jsonl").read_text().splitlines()]
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in ("kind", "stage", "step", "epoch"):
                point = (line["step"], pytest.approx(value, rel=1e-6))
                expected.setdefault(f"{line['kind']}/{name}", []).append(point)
    found = Shown(once).scalars
    rates = found.pop("learning rate/model")
    assert found == expected
    assert found.keys() == {
        "train/l1",
        "train/mse",
        "val/l1",
        "val/mse",
        "val/loss",
        "val/psnr whole",
    }
    assert [step for step, _ in rates] == [
        line["step"] for line in lines if line["kind"] == "train"
    ]
    assert rates[0][1] < 1e-3 / 2  # the cosine is nearly over where the first stage ends


def test_the_pictures_of_each_epoch_and_the_recipe_are_there(once: Path, tmp_path: Path) -> None:
    shown = Shown(once)
    drawn = ("first-0001", "first-0002", "second-0001")
    assert shown.pictures.keys() == {"samples"}
    for (step, encoded), expected, name in zip(
        shown.pictures["samples"], (4, 8, 10), drawn, strict=True
    ):
        (tmp_path / "shown.png").write_bytes(encoded)
        assert step == expected
        np.testing.assert_array_equal(
            images.read_rgb(tmp_path / "shown.png"), images.read_rgb(once / f"samples/{name}.png")
        )
    ((text,),) = shown.texts.values()
    assert text == f"```toml\n{(once / 'recipe.toml').read_text()}```"


def next_second() -> None:
    """Wait for it: TensorBoard knows by the second in their names which file is the later."""
    time.sleep(1 - time.time() % 1)


def same(one: Path, other: Path) -> bool:
    """Whether two runs show the same."""
    left, right = Shown(one), Shown(other)
    return (left.scalars, left.pictures, left.texts) == (right.scalars, right.pictures, right.texts)


@pytest.mark.parametrize("steps", [2, 4, 9])
def test_stopped_anywhere_and_continued_nothing_shows_twice_and_nothing_is_missing(
    steps: int, recipe: Recipe, once: Path, tmp_path: Path, stop_after: Any
) -> None:
    stop_after(recipe, tmp_path / "run", steps)
    next_second()
    experiment.run(recipe, tmp_path / "run", CPU)
    assert same(tmp_path / "run", once)


KILLER = """\
import os
import pathlib
from frx import hookimpl


class Killer:
    'Kills the process once, when a checkpoint is on disk.'

    def __init__(self, *, note: str) -> None:
        self.note = pathlib.Path(note)

    @hookimpl
    def frx_checkpoint_saved(self, run):
        if run.position.epoch == 2 and not self.note.exists():
            self.note.touch()
            os._exit(137)
"""


def test_what_was_logged_before_a_checkpoint_is_on_disk_when_the_process_is_killed(
    install: Callable[..., Path], recipe_file: Path, once: Path, tmp_path: Path
) -> None:
    site = install("killer", KILLER, "[frx.hooks]\nkiller = killer:Killer\n")
    with recipe_file.open("a") as file:
        file.write(f'\n[[hooks]]\nuse = "killer"\nnote = "{tmp_path / "note"}"\n')
    code = (
        "import torch; torch.set_num_threads(1); torch.set_num_threads = lambda count: None\n"
        "import sys; sys.argv = ['frx', 'run', 'tiny.toml', '--out', 'run', '--device', 'cpu']\n"
        "from frx.cli import main; main()"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    assert killed.returncode == 137
    assert [step for step, _ in Shown(tmp_path / "run").scalars["val/l1"]] == [8]
    experiment.run(load(recipe_file), tmp_path / "run", CPU)
    one, other = Shown(tmp_path / "run"), Shown(once)
    assert (one.scalars, one.pictures) == (other.scalars, other.pictures)


class PowerCut(BaseException):
    """Ends everything, with no time to save."""


class Cut:
    """Cuts the power once, before an epoch's checkpoint."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    @hookimpl(trylast=True)
    def frx_epoch_end(self, run: Run) -> None:
        if run.position.epoch == self.epoch:
            raise PowerCut


@pytest.mark.parametrize(
    ("after", "step", "epoch"),
    [(3, 4, 1), (8, 8, 2), (5, 5, 2)],  # the signal is looked for at the end of epochs, too
)
def test_what_was_shown_after_the_last_checkpoint_is_hidden(
    after: int,
    step: int,
    epoch: int,
    recipe: Recipe,
    once: Path,
    tmp_path: Path,
    stop_after: Callable[[Recipe, Path, int], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also what belongs to the very step of the checkpoint: the validation of its epoch."""
    assert f"after step {step}," in str(stop_after(recipe, tmp_path / "run", after))
    next_second()
    build = experiment.build_hooks
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "build_hooks", lambda uses: {**build(uses), "cut": Cut(epoch)})
        with pytest.raises(PowerCut):
            experiment.run(recipe, tmp_path / "run", CPU)
    next_second()
    experiment.run(recipe, tmp_path / "run", CPU)
    assert same(tmp_path / "run", once)


def test_without_the_package_the_recipe_is_refused_with_what_to_install(
    recipe_file: Path, frx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "tensorboard" else find(name, *a),
    )
    code, _, error = frx("check", str(recipe_file))
    assert code == 2
    assert (
        "hooks[0]: tensorboard: needs the package tensorboard; pip install 'frx[tensorboard]'"
        in error
    )
