"""A save that is killed at each of its system calls: what was saved before, or this one, is whole."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import files
from frx.checkpoint import Checkpoints

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# Saves a third generation; the thread that writes it is killed at its N-th call about files.
SAVE = """\
import os, signal, threading
from pathlib import Path
import torch
from frx.checkpoint import Checkpoints

checkpoints = Checkpoints(Path({folder!r}))
parts, passed = checkpoints.load()
assert not passed and parts["state"]["value"] == 2
counted = 0
about_files = "mkdir open write fsync close __exit__ truncate replace unlink".split()

def die(frame, event, called):
    global counted
    if event == "c_call" and called.__name__ in about_files and on_disk(called):
        counted += 1
        if counted == {number}:
            os.kill(os.getpid(), signal.SIGKILL)

def on_disk(called):
    return called.__module__ in ("posix", "_io", "io") or type(called.__self__).__module__ == "_io"

{before}
checkpoints.save(3, {{name: {{"value": 3, "w": torch.full((9000,), 3.0)}} for name in ("state", "best")}})
checkpoints.wait()
os._exit(0)
"""
COUNTED = "threading.setprofile(die)"
TRACED = """\
import time
Path({ready!r}).touch()
while Path({ready!r}).exists():
    time.sleep(0.001)
"""
CALLS = ("openat", "write", "ftruncate", "fsync", "rename,renameat,?renameat2", "unlink,?unlinkat")


def parts(value: int) -> dict[str, Any]:
    return {
        name: {"value": value, "w": torch.full((9000,), float(value))} for name in ("state", "best")
    }


def killed_at_each_call(folder: Path, save: Callable[[Path, int], int]) -> tuple[int, set[int]]:
    """After how many kills a save came to its end, and which generations were found meanwhile."""
    before = Checkpoints(folder / "before")
    for value in (1, 2):
        before.save(value, parts(value))
    before.wait()
    number, found = 0, set()
    while True:
        number += 1
        there = folder / f"{number}"
        shutil.copytree(folder / "before", there)
        code = save(there, number)
        checkpoints = Checkpoints(there)
        whole, passed = checkpoints.load()
        assert not passed
        assert whole is not None
        value = whole["state"]["value"]
        assert whole["best"]["value"] == value
        assert whole["state"]["w"].tolist() == whole["best"]["w"].tolist() == [value] * 9000
        found.add(value)
        checkpoints.save(4, parts(4))
        checkpoints.wait()
        assert len(list(there.glob("*.safetensors"))) == 4
        assert not list(there.glob(f"{files.PARTIAL}*"))
        if code == 0:
            return number - 1, found
        assert code == -signal.SIGKILL


def test_killed_at_each_call_of_a_save(fork_server: Any, tmp_path: Path) -> None:
    def save(folder: Path, number: int) -> int:
        code = SAVE.format(folder=str(folder), number=number, before=COUNTED)
        ended: int = fork_server.run(before=code)
        return ended

    kills, found = killed_at_each_call(tmp_path, save)
    print(f"{kills} kills")
    assert kills >= 30
    assert found == {2, 3}


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("calls", CALLS)
def test_killed_at_each_system_call_of_a_save(calls: str, fork_server: Any, tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    def save(folder: Path, number: int) -> int:
        before = TRACED.format(ready=str(ready))
        pid = fork_server.start(before=SAVE.format(folder=str(folder), number=0, before=before))
        while not ready.exists():
            time.sleep(0.001)
        rules = [f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={number}"]
        command = ["strace", "-f", "-p", str(pid), "-o", os.devnull, "-e", *rules]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not (traced := is_traced(pid)) and tracer.poll() is None:
            time.sleep(0.001)
        ready.unlink()
        _, ended = fork_server.wait(pid)
        tracer.wait()
        if not traced:
            pytest.skip("strace may not trace here")
        return int(ended)

    kills, found = killed_at_each_call(tmp_path, save)
    print(f"{kills} kills at {calls}")
    assert kills >= 2
    assert found <= {2, 3}


def is_traced(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return "TracerPid:\t0" not in lines
