"""Disks that are full, fail or cannot be written to: what was saved stays, and training goes on."""

import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment, files
from frx import run as loop
from frx.checkpoint import Checkpoints
from frx.errors import FrxError, ResourceError
from frx.interruption import Interrupted
from frx.recipe import Recipe, load
from frx.run import Run
from frx.specs import hookimpl

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
epochs = 5
batch_size = 8
optimizer = { use = "adam", lr = 1e-2 }
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 2
batch_size = 8
losses = [{ use = "l1" }]

[[metrics]]
use = "psnr"

[[hooks]]
use = "ema"
"""
BATCHES = 2
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


class During:
    """Has something happen after some steps of a run, when what was saved before is on disk."""

    def __init__(self, **happens: Callable[[], object]) -> None:
        self.happens = happens

    @hookimpl(tryfirst=True)
    def frx_step_end(self, run: Run) -> None:
        if happens := self.happens.get(f"step_{run.step}"):
            writing = run.hooks["checkpoints"].checkpoints._writing
            wait([writing] if writing else [])
            happens()


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have something happen in all runs from now on, by the step after which it does."""
    build = experiment.build_hooks

    def set_up(**happens: Callable[[], object]) -> None:
        hook = During(**happens)
        monkeypatch.setattr(experiment, "build_hooks", lambda uses: {"it": hook, **build(uses)})

    return set_up


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of errors by which all writing of checkpoints fails at present: none or one."""
    numbers: list[int] = []

    def instead(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            saving = threading.current_thread().name.startswith("frx-checkpoint")
            if numbers and saving:
                raise OSError(numbers[0], os.strerror(numbers[0]))
            return function(*given)

        return call

    monkeypatch.setattr(files, "fill_past_cache", instead(files.fill_past_cache))
    monkeypatch.setattr(os, "fsync", instead(os.fsync))
    monkeypatch.setattr(os, "replace", instead(os.replace))
    return numbers


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.toml").write_text(TINY)
    experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return folder / "run"


@pytest.fixture
def whole(whole_run: Path, bytes_of: Any) -> Any:
    """What a run leaves that nothing happened to."""
    return bytes_of(whole_run)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("begins", "ends"), [(1, 3), (3, 6), (5, 8)])
def test_a_save_that_fails_is_made_up_for(
    number: int,
    begins: int,
    ends: int,
    recipe: Recipe,
    tmp_path: Path,
    whole: Any,
    bytes_of: Any,
    failing: list[int],
    during: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    during(**{f"step_{begins}": lambda: failing.append(number), f"step_{ends}": failing.clear})
    experiment.run(recipe, tmp_path / "run", CPU)
    assert bytes_of(tmp_path / "run") == whole
    said = " ".join(capsys.readouterr().err.split())
    assert f"cannot be written: {os.strerror(number)}" in said
    assert "training goes on, and the next checkpoint tries again" in said


def test_the_best_weights_of_a_save_that_failed_are_in_the_next_one(
    recipe: Recipe,
    tmp_path: Path,
    failing: list[int],
    during: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second epoch is the best; its checkpoint fails, and no later epoch is better."""

    def judged(run: Run) -> dict[str, float]:
        return validate(run) | {"loss": abs(run.position.epoch - 2.0)}

    validate = loop.validate
    monkeypatch.setattr(loop, "validate", judged)
    best = []
    for begins in (100, 3):
        during(
            **{f"step_{begins}": lambda: failing.append(errno.EIO)},
            step_5=failing.clear,
            step_7=lambda: os.kill(os.getpid(), signal.SIGTERM),
        )
        folder = tmp_path / f"{begins}"
        with pytest.raises(Interrupted):
            experiment.run(recipe, folder, CPU)
        parts, _ = Checkpoints(folder / "checkpoints").load()
        assert parts is not None
        best.append(parts["best"])
    assert best[0].keys() == best[1].keys()
    assert all(torch.equal(tensor, best[1][name]) for name, tensor in best[0].items())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("begins", "warnings"), [(1, 2), (5, 2), (9, 0), (11, 1)])
def test_three_failures_in_a_row_or_one_at_a_stages_end_end_the_run(
    number: int,
    begins: int,
    warnings: int,
    recipe: Recipe,
    tmp_path: Path,
    whole: Any,
    bytes_of: Any,
    failing: list[int],
    during: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    during(**{f"step_{begins}": lambda: failing.append(number)})
    with pytest.raises(ResourceError, match=r"checkpoints/.*: cannot be written") as caught:
        experiment.run(recipe, tmp_path / "run", CPU)
    assert caught.value.exit_code == 5
    if number == errno.ENOSPC:
        assert "MiB needed, " in str(caught.value)
        assert "MiB left; free some space" in str(caught.value)
    assert capsys.readouterr().err.count("training goes on") == warnings
    assert not list((tmp_path / "run").rglob(f"{files.PARTIAL}*"))
    failing.clear()
    parts, passed = Checkpoints(tmp_path / "run/checkpoints").load()
    assert not passed
    assert (parts["state"]["position"]["step"] if parts else 0) == begins - 1
    during()
    experiment.run(recipe, tmp_path / "run", CPU)
    assert bytes_of(tmp_path / "run") == whole


def test_a_run_that_a_signal_stops_says_that_it_could_not_be_saved(
    recipe: Recipe,
    tmp_path: Path,
    whole: Any,
    bytes_of: Any,
    failing: list[int],
    during: Any,
) -> None:
    def stop() -> None:
        failing.append(errno.EIO)
        os.kill(os.getpid(), signal.SIGTERM)

    during(step_5=stop)
    with pytest.raises(ResourceError, match="cannot be written: Input/output error"):
        experiment.run(recipe, tmp_path / "run", CPU)
    failing.clear()
    during()
    experiment.run(recipe, tmp_path / "run", CPU)
    assert bytes_of(tmp_path / "run") == whole


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs leave to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass
    assert files.free_bytes(disk / "ballast") == 0


def test_training_outlasts_a_disk_that_is_full_for_a_while(
    recipe: Recipe, disk: Path, whole: Any, bytes_of: Any, during: Any, capsys: Any
) -> None:
    during(step_3=lambda: fill(disk), step_7=(disk / "ballast").unlink)
    experiment.run(recipe, disk / "run", CPU)
    assert bytes_of(disk / "run") == whole
    said = " ".join(capsys.readouterr().err.split())
    assert "No space left on device" in said
    assert "0.0 MiB left; free some space" in said


def test_a_disk_that_stays_full_ends_the_run_with_what_was_saved(
    recipe: Recipe, disk: Path, whole: Any, bytes_of: Any, during: Any
) -> None:
    during(step_3=lambda: fill(disk))
    with pytest.raises(
        ResourceError, match=r"No space left on device \(.* MiB needed, 0.0 MiB left"
    ):
        experiment.run(recipe, disk / "run", CPU)
    assert not list((disk / "run").rglob(f"{files.PARTIAL}*"))
    (disk / "ballast").unlink()
    during()
    experiment.run(recipe, disk / "run", CPU)
    assert bytes_of(disk / "run") == whole


def test_a_disk_without_room_for_the_checkpoints_is_refused_before_the_first_step(
    recipe: Recipe, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(disk)
    os.truncate(disk / "ballast", (disk / "ballast").stat().st_size - 100_000)
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: pytest.fail("it trains"))
    with pytest.raises(
        ResourceError, match=r"checkpoints need 0\.[1-9] MiB and 0\.1 MiB are left; free some space"
    ):
        experiment.run(recipe, disk / "run", CPU)


def a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    return tmp_path / "file"


PLACES: dict[str, Callable[[Path], Path]] = {
    "a file": a_file,
    "below a file": lambda tmp_path: a_file(tmp_path) / "run",
    "no folder for people": lambda tmp_path: Path("/proc/run"),
    "too long a name": lambda tmp_path: tmp_path / ("x" * 300),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_cannot_be_written_to_is_a_wrong_choice(
    place: str, frx: Any, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "open_run", lambda *given: pytest.fail("it begins"))
    out = PLACES[place](tmp_path)
    code, _, err = frx("run", str(recipe_file), "--out", str(out))
    assert code == 2
    (line,) = err.splitlines()
    assert str(out) in line
    assert "choose another" in line


def test_a_disk_that_is_read_only_is_a_wrong_choice(
    frx: Any, recipe_file: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "open_run", lambda *given: pytest.fail("it begins"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, _, err = frx("run", str(recipe_file), "--out", str(disk / "run"))
    assert (code, err.count("\n")) == (2, 1)
    assert "Read-only file system; choose another folder" in err


def test_folders_that_are_missing_are_made(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(FrxError), experiment.locked(tmp_path / "a/b/c"):
        experiment.run(recipe, tmp_path / "a/b/c", CPU)
    assert (tmp_path / "a/b/c").is_dir()
