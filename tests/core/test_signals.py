"""Signals, closed windows and pipes that nobody reads: a run stops in good order, or goes on."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from frx import experiment
from frx.cli import main
from frx.recipe import load

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="signals are a matter of Unix"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork beside torch's idle threads
]

CPU = torch.device("cpu")
LIMIT_S = 60  # for what hangs

TINY = """\
name = "tiny"
compute = { threads = 1 }
data = { use = "synthetic_faces", size = 16, count = 40 }
degradations = ["gaussian_noise"]
model = { use = "pix2pix_unet", levels = 2, width = 2, dropout = 0.5 }
hooks = ["ema"]

[[stages]]
name = "only"
epochs = 4
batch_size = 4
accumulate = 3
validate_every_epochs = 2
losses = ["l1"]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.toml").write_text(TINY)
    experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return folder / "run"


def wait_until(true: Callable[[], Any], number: int) -> None:
    """Until something is so, or the process has ended."""
    for _ in range(LIMIT_S * 200):
        if true() or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.005)
    raise AssertionError("never so")


def session(number: int) -> list[int]:
    """The processes that are left of a session."""

    def is_of(process: int) -> bool:
        try:
            return os.getsid(process) == number and process != number
        except ProcessLookupError:
            return False

    return [process for process in psutil.pids() if is_of(process)]


def no_orphan_is_left(number: int) -> bool:
    for _ in range(LIMIT_S * 20):
        if not session(number):
            return True
        time.sleep(0.05)
    return False


def frx_run(recipe: Path, folder: Path) -> Callable[[], None]:
    """`frx run`, to be called in a process of its own."""

    def call() -> None:
        sys.argv = ["frx", "run", str(recipe), "--out", str(folder), "--device", "cpu"]
        main()

    return call


@pytest.mark.parametrize(
    ("name", "workers"),
    [("SIGTERM", 0), ("SIGINT", 0), ("SIGTERM", 1), ("SIGINT", 1), ("SIGHUP", 1)],
)
def test_a_signal_stops_a_run_with_a_checkpoint_of_this_step_and_it_goes_on(
    name: str,
    workers: int,
    recipe_file: Path,
    tmp_path: Path,
    whole: Path,
    bytes_of: Any,
    forked: Any,
) -> None:
    recipe_file.write_text(TINY.replace("count = 40", f"count = 40, workers = {workers}"))
    folder, said = tmp_path / "run", tmp_path / "said"
    process = forked(frx_run(recipe_file, folder), said)
    manifest = folder / "checkpoints/manifest.json"
    wait_until(manifest.exists, process)
    time.sleep(random.Random(f"{name} {workers}").uniform(0, 0.05))
    os.killpg(process, getattr(signal, name))  # all of its processes, as a terminal does
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + getattr(signal, name), said.read_text()
    assert no_orphan_is_left(process)
    step = max(g["step"] for g in json.loads(manifest.read_bytes())["generations"])
    assert f"frx: stopped after step {step}, saved in" in said.read_text()
    experiment.run(load(recipe_file), folder, CPU)
    assert bytes_of(folder) == bytes_of(whole)


def test_nohup_keeps_a_run_from_hanging_up(
    recipe_file: Path, tmp_path: Path, whole: Path, bytes_of: Any, forked: Any
) -> None:
    folder, said = tmp_path / "run", tmp_path / "said"
    process = forked(frx_run(recipe_file, folder), said, hang_up=signal.SIG_IGN)
    wait_until((folder / "checkpoints/manifest.json").exists, process)
    os.killpg(process, signal.SIGHUP)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said.read_text()
    assert bytes_of(folder) == bytes_of(whole)


SLEEPER = """\
import pathlib, time
from frx import hookimpl


class Sleeper:
    '''Sleeps in the third step.'''

    @hookimpl
    def frx_step_end(self, run):
        if run.step == 3:
            (run.folder / "sleeps").touch()
            time.sleep(3600)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGKILL])
def test_a_second_ctrl_c_ends_it_at_once_and_its_workers_with_it(
    second: signal.Signals, install: Any, recipe_file: Path, tmp_path: Path, forked: Any
) -> None:
    install("sleeper", SLEEPER, "[frx.hooks]\nsleeper = sleeper:Sleeper\n")
    recipe_file.write_text(
        TINY.replace('["ema"]', '["sleeper"]').replace("count", "workers = 2, count")
    )
    folder, said = tmp_path / "run", tmp_path / "said"
    process = forked(frx_run(recipe_file, folder), said)
    wait_until((folder / "sleeps").exists, process)
    assert len(session(process)) == 2  # who makes batches
    os.killpg(process, signal.SIGINT)
    time.sleep(0.2)
    assert psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    os.kill(process, second)
    _, status = os.waitpid(process, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended == (130 if second == signal.SIGINT else -signal.SIGKILL), said.read_text()
    assert no_orphan_is_left(process)


KILLER = """\
import multiprocessing, os, signal, time
from frx import hookimpl


class Killer:
    '''Kills the processes that load data, once.'''

    @hookimpl
    def frx_step_end(self, run):
        marker = run.folder / "killed"
        if run.step == 3 and not marker.exists():
            marker.touch()
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(1)
"""


def test_a_run_whose_loading_processes_are_killed_goes_on(
    install: Any, recipe_file: Path, tmp_path: Path, whole: Path, bytes_of: Any, forked: Any
) -> None:
    install("killer", KILLER, "[frx.hooks]\nkiller = killer:Killer\n")
    recipe_file.write_text(
        TINY.replace('["ema"]', '["ema", "killer"]').replace("count", "workers = 2, count")
    )
    folder, said = tmp_path / "run", tmp_path / "said"
    _, status = os.waitpid(forked(frx_run(recipe_file, folder), said), 0)
    assert os.waitstatus_to_exitcode(status) == 5, said.read_text()
    assert "a process that loads data died or hangs" in said.read_text()
    assert "Traceback" not in said.read_text()
    experiment.run(load(recipe_file), folder, CPU)
    assert bytes_of(folder) == bytes_of(whole)


# Processes of their own, with an interpreter that ends as it does --------------------------------


def words_of(recipe: Path) -> list[str]:
    return [sys.executable, "-m", "frx", "run", str(recipe), "--out", "run", "--device", "cpu"]


def test_a_run_goes_on_when_nobody_reads_what_it_says(
    recipe_file: Path, tmp_path: Path, whole: Path, bytes_of: Any
) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(words_of(recipe_file), stdout=writing, stderr=writing, cwd=tmp_path)
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)  # as `head -1` would
    assert process.wait(LIMIT_S) == 0
    assert bytes_of(tmp_path / "run") == bytes_of(whole)


def test_a_window_that_is_closed_stops_a_run_in_good_order(
    recipe_file: Path, tmp_path: Path, whole: Path, bytes_of: Any
) -> None:
    words = words_of(recipe_file)
    process, window = pty.fork()
    if not process:
        os.chdir(tmp_path)
        os.execvpe(words[0], words, {**os.environ, "TERM": "xterm"})
    manifest = tmp_path / "run/checkpoints/manifest.json"
    wait_until(manifest.exists, process)
    os.close(window)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert no_orphan_is_left(process)
    experiment.run(load(recipe_file), tmp_path / "run", CPU)
    assert bytes_of(tmp_path / "run") == bytes_of(whole)
