"""Hooks that only watch: whatever goes wrong with them, the training is as it is without them."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment, tracking
from frx.errors import RecipeError
from frx.recipe import Recipe, load
from frx.specs import LifecycleSpecs

Install = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
EVENTS = [name for name in vars(LifecycleSpecs) if name.startswith("frx_")]

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 24
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "pix2pix_unet"
levels = 3
width = 4
dropout = 0.5

[[stages]]
name = "first"
epochs = 1
batch_size = 8
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 2
batch_size = 8
losses = [{ use = "mse" }]
"""

SABOTEUR = """\
import pathlib, time
import torch
from frx import hookimpl


class Mute(Exception):
    def __str__(self):
        raise KeyError("no words")


def forever():
    while True:
        pass


class Saboteur:
    '''Does harm at a moment.'''

    only_watches = True

    def __init__(self, *, at: str, deed: str, note: str = "") -> None:
        self.at, self.deed, self.note = at, deed, note

    def do(self, moment, run=None):
        if moment != self.at:
            return {"steps": 3}
        match self.deed:
            case "raises":
                raise OSError("no such server\\n  at all")
            case "exits":
                raise SystemExit(7)
            case "interrupts":
                raise KeyboardInterrupt
            case "mute":
                raise Mute
            case "draws":
                torch.rand(1000)
                torch.manual_seed(0)
            case "prints":
                print("a line " * 1000)
            case "sleeps":
                pathlib.Path(self.note).touch()
                time.sleep(3600)
            case "spins":
                forever()
            case "returns":
                time.sleep(1)
                pathlib.Path(self.note).touch()
            case "once":
                if not pathlib.Path(self.note).exists():
                    pathlib.Path(self.note).touch()
                    raise OSError("only the first time")
            case "object":
                return {"what": object()}
            case "complex":
                return {"what": torch.zeros(2, dtype=torch.complex128)}
            case "twice":
                return {"one": (tensor := torch.ones(3)), "other": tensor}

    def state_dict(self):
        return self.do("state_dict")

    def load_state_dict(self, state):
        self.do("load_state_dict")
""" + "".join(
    f"\n    @hookimpl\n    def {event}(self, run):\n        self.do({event!r})\n"
    for event in EVENTS
)


@pytest.fixture
def saboteurs(install: Install, recipe_file: Path) -> Callable[..., Recipe]:
    """The recipe with trackers: each is told when to do what."""
    install("saboteur", SABOTEUR, "[frx.hooks]\nsaboteur = saboteur:Saboteur\n")

    def make(*deeds: tuple[str, str], note: object = "") -> Recipe:
        with recipe_file.open("a") as file:
            for moment, deed in deeds:
                options = f'at = "{moment}"\ndeed = "{deed}"\nnote = "{note}"'
                file.write(f'\n[[hooks]]\nuse = "saboteur"\n{options}\n')
        return load(recipe_file)

    return make


def outcome(folder: Path) -> dict[str, bytes]:
    """What of a run no tracker may change."""
    names = ("model/model.safetensors", "model/model.json", "log.jsonl", "scores.json")
    return {name: (folder / name).read_bytes() for name in names}


def warnings_of(folder: Path) -> list[str]:
    return list(json.loads((folder / "run.json").read_bytes())["warnings"])


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the recipe leaves without a tracker."""
    folder = tmp_path_factory.mktemp("untracked")
    (folder / "tiny.toml").write_text(TINY)
    experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return outcome(folder / "run")


RAISED = {
    "raises": "OSError: no such server at all",
    "exits": "SystemExit: 7",
    "interrupts": "KeyboardInterrupt",
    "mute": "saboteur.Mute: <exception str() failed>",
}


def test_whatever_a_tracker_raises_at_any_moment_the_bytes_are_those_without_it(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [("frx_step_end", "exits"), ("frx_epoch_end", "interrupts"), ("frx_run_end", "mute")]
    deeds = [*((event, "raises") for event in EVENTS), *more]
    experiment.run(saboteurs(*deeds), tmp_path / "run", CPU)
    assert outcome(tmp_path / "run") == untracked
    names = ["saboteur", *(f"saboteur-{number}" for number in range(2, len(deeds) + 1))]
    expected = [
        f"hook {name} was left out: its {event} raised {RAISED[deed]}"
        for name, (event, deed) in zip(names, deeds, strict=True)
    ]
    assert warnings_of(tmp_path / "run") == expected
    error = capsys.readouterr().err
    for sentence in expected:
        assert error.count(f"  warning: {sentence}; training goes on without it\n") == 1
    assert "Traceback" not in error
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("was left out") == len(expected)


def test_what_a_tracker_draws_and_prints_at_any_moment_changes_no_byte(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path
) -> None:
    deeds = [(event, deed) for event in EVENTS for deed in ("draws", "prints")]
    experiment.run(saboteurs(*deeds), tmp_path / "run", CPU)
    assert outcome(tmp_path / "run") == untracked
    assert warnings_of(tmp_path / "run") == []


def test_a_tracker_that_hangs_is_left_out_for_good_and_the_bytes_are_those_without_it(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.enumerate()
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.2)
    note = tmp_path / "note"
    deeds = [("frx_run_start", "returns"), ("frx_step_end", "spins"), ("state_dict", "spins")]
    experiment.run(saboteurs(*deeds, note=note), tmp_path / "run", CPU)
    assert outcome(tmp_path / "run") == untracked
    assert [sentence.partition(": ")[2] for sentence in warnings_of(tmp_path / "run")] == [
        f"its {moment} has not come back after 0.2 s" for moment, _ in deeds
    ]
    assert no_thread_is_left(before)  # to take time from a training, or to come back late
    assert not note.exists()


def no_thread_is_left(before: Sequence[threading.Thread]) -> bool:
    """Whether no thread is left, soon, but those from before."""
    for _ in range(100):
        gc.collect()
        if not set(threading.enumerate()) - set(before):
            return True
        time.sleep(0.05)
    return False


def test_a_state_that_cannot_be_kept_costs_the_tracker_its_place_and_not_the_run(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path, stop_after: Any
) -> None:
    deeds = [("state_dict", deed) for deed in ("raises", "object", "complex", "twice")]
    recipe = saboteurs(*deeds, ("load_state_dict", "raises"))
    stop_after(recipe, tmp_path / "run", 3)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert outcome(tmp_path / "run") == untracked
    assert [sentence.partition(": ")[2] for sentence in warnings_of(tmp_path / "run")] == [
        "its state_dict raised OSError: no such server at all",
        "its state_dict raised TypeError: /what: a object cannot be kept in a checkpoint",
        "its state_dict raised KeyError: torch.complex128",
        "its load_state_dict raised OSError: no such server at all",
    ]


def test_one_that_was_left_out_takes_part_after_a_break_and_the_report_still_says_so(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path, stop_after: Any
) -> None:
    recipe = saboteurs(("frx_step_end", "once"), note=tmp_path / "note")
    stop_after(recipe, tmp_path / "run", 3)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert outcome(tmp_path / "run") == untracked
    (sentence,) = warnings_of(tmp_path / "run")
    assert "its frx_step_end raised OSError: only the first time" in sentence


COUNTER = """\
from frx import hookimpl


class Counter:
    '''Counts the steps that it sees.'''

    only_watches = True
    steps = 0

    @hookimpl
    def frx_step_end(self, run):
        self.steps += 1

    @hookimpl(trylast=True)
    def frx_run_end(self, run):
        (run.folder / "steps").write_text(str(self.steps))

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]
"""


def test_what_a_tracker_keeps_survives_a_break_and_its_thread_does_not_survive_the_run(
    install: Install, recipe_file: Path, tmp_path: Path, stop_after: Any
) -> None:
    before = threading.enumerate()
    install("counter", COUNTER, "[frx.hooks]\ncounter = counter:Counter\n")
    recipe_file.write_text(TINY + '[[hooks]]\nuse = "counter"\n')
    recipe = load(recipe_file)
    stop_after(recipe, tmp_path / "run", 5)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert (tmp_path / "run" / "steps").read_text() == "6"
    assert no_thread_is_left(before)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (
            "@hookimpl\n    def frx_make_dataset(self, spec)",
            "frx_make_dataset does more than watch",
        ),
        ("@hookimpl(wrapper=True)\n    def frx_step_end(self, run)", "frx_step_end does more than"),
        ("@hookimpl\n    def frx_step_finished(self, run)", "unknown hook 'frx_step_finished'"),
        ("@hookimpl\n    def frx_step_end(self, rnu)", "rnu"),
    ],
)
def test_a_tracker_that_does_more_than_watch_or_would_never_be_called_is_refused(
    method: str, says: str, install: Install, recipe_file: Path, tmp_path: Path
) -> None:
    code = f"from frx import hookimpl\nclass F:\n    'A tracker.'\n    only_watches = True\n    {method}: yield\n"
    install("wrong", code, "[frx.hooks]\nwrong = wrong:F\n")
    recipe_file.write_text(TINY + '[[hooks]]\nuse = "wrong"\n')
    with pytest.raises(RecipeError, match=f"hook wrong: .*{says}"):
        experiment.run(load(recipe_file), tmp_path / "run", CPU)


def test_the_traceback_is_shown_on_request(
    saboteurs: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop_after: Any,
) -> None:
    monkeypatch.setenv("FRX_PLUGIN_DEBUG", "1")
    stop_after(saboteurs(("frx_step_end", "raises")), tmp_path / "run", 1)
    assert "in frx_step_end\n" in capsys.readouterr().err


# In a process of its own --------------------------------------------------------------------------


def frx(patience_s: float, *words: str, cwd: Path) -> subprocess.Popen[str]:
    code = (
        "import torch; torch.set_num_threads(1); torch.set_num_threads = lambda count: None\n"
        f"import sys; from frx import tracking; tracking.PATIENCE_S = {patience_s}\n"
        f"sys.argv = ['frx', *{words!r}]\n"
        "from frx.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(cwd / "site")},
        cwd=cwd,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def test_a_thread_that_hangs_for_ever_does_not_keep_the_process_alive(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path
) -> None:
    saboteurs(("frx_step_end", "sleeps"), ("frx_run_end", "sleeps"), note=tmp_path / "note")
    with frx(0.2, "run", "tiny.toml", "--out", "run", "--device", "cpu", cwd=tmp_path) as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "its frx_run_end has not come back after 0.2 s; training goes on without it" in said
    assert outcome(tmp_path / "run") == untracked


def test_ctrl_c_stops_a_run_whose_tracker_hangs_and_it_goes_on_from_there(
    saboteurs: Any, untracked: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note"
    recipe = saboteurs(("frx_step_end", "sleeps"), note=note)
    words = ("run", "tiny.toml", "--out", "run", "--device", "cpu")
    with frx(2.0, *words, cwd=tmp_path) as process:
        while not note.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "stopped after step 1, saved" in said
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.2)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert outcome(tmp_path / "run") == untracked
