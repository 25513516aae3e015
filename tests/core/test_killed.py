"""Runs killed at any instant, by the hundred: the same command goes on to the same bytes."""

import hashlib
import json
import os
import platform
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from safetensors import safe_open

from frx import files

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# Notes what a run does: its main thread, and whether another one saves meanwhile.
NOTING = """\
import os
from frx import experiment, run
from frx.checkpoint import Checkpoints

note = os.open({path!r}, os.O_WRONLY | os.O_CREAT)
begun = ["starting"]

def noting(owner, name, phase):
    inner = getattr(owner, name)
    def noted(*given, **named):
        begun.append(phase)
        os.pwrite(note, phase.ljust(10).encode(), 0)
        try:
            return inner(*given, **named)
        finally:
            begun.pop()
            os.pwrite(note, begun[-1].ljust(10).encode(), 0)
    setattr(owner, name, noted)

def saving(*given):
    os.pwrite(note, b" saving", 10)
    try:
        write(*given)
    finally:
        os.pwrite(note, b"       ", 10)

noting(experiment, "train", "training")
noting(run, "validate", "validating")
noting(experiment, "_finish", "finishing")
noting(experiment, "export", "exporting")
write, Checkpoints._write = Checkpoints._write, saving
"""


def contents(folder: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for times and what checkpoints are called."""
    record = json.loads((folder / "run.json").read_bytes())
    assert record.pop("seconds") >= 0
    found: dict[str, Any] = {"run.json": record}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        assert files.PARTIAL not in name
        if path.is_file() and not name.startswith(("checkpoints", "run.", "report")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = json.loads((folder / "checkpoints/manifest.json").read_bytes())
    for part, entry in manifest["generations"][-1]["parts"].items():
        path = folder / "checkpoints" / entry["file"]
        for name, tensor in safetensors.torch.load_file(path).items():
            found[f"{part}{name}"] = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
        with safe_open(path, "pt") as opened:
            found[part] = opened.metadata()["state"]
    named = {p["file"] for g in manifest["generations"] for p in g["parts"].values()}
    assert {path.name for path in folder.glob("checkpoints/*.safetensors")} == named
    return found


PHASES = ("starting", "training", "validating", "saving", "exporting", "finishing")
ANY = ""  # instant of the run


class Killing:
    """Runs that are killed some times each and then finish, until there were enough kills."""

    most = 12  # kills of a run

    def __init__(self, server: Any, game: Path, folder: Path, workers: int) -> None:
        self.server, self.folder, self.draw = server, folder, random.Random(workers)
        self.words = ["run", str(game), "--set", f"data.workers={workers}", "--out"]
        self.kills: Counter[str] = Counter()  # by what the run did
        self.finished = 0
        self.wrong: list[str] = []
        self.unresumable: list[str] = []

    def until(self, wanted: int, kills: Counter[int]) -> None:
        """Kill until `kills`, by process id, has enough of all who kill beside this one."""
        assert self.server.run(*self.words, str(self.folder / "whole")) == 0
        began = time.monotonic()
        assert self.server.run(*self.words, str(self.folder / "again")) == 0
        self.longest = time.monotonic() - began
        whole = contents(self.folder / "whole")
        assert contents(self.folder / "again") == whole
        while kills.total() < wanted:
            run = self.folder / f"run-{self.finished}"
            code, times = -signal.SIGKILL, 0
            while code == -signal.SIGKILL and times < self.most:
                code = self._attempt(run, kills)
                times += code == -signal.SIGKILL
            if code == -signal.SIGKILL:
                code = self.server.run(*self.words, str(run))
            if code:
                self.unresumable.append(f"{code}: {self.server.log.read_text()[-500:]}")
                break
            self.finished += 1
            if (found := contents(run)) != whole:
                self.wrong += [name for name in whole | found if found.get(name) != whole.get(name)]

    def _attempt(self, run: Path, kills: Counter[int]) -> int:
        note = self.folder / "note"
        note.write_text("starting")
        before = NOTING.format(path=str(note))
        pid = self.server.start(*self.words, str(run), before=before)
        phase = self.draw.choice([ANY, ANY, ANY, ANY, "saving", "validating", "exporting"])
        seconds = self.draw.uniform(0, self.longest if phase == ANY else 0.01)
        _, code = self.server.wait(pid, seconds=seconds, note=note, phase=phase)
        if code == -signal.SIGKILL:
            kills[pid] += 1
            self.kills.update(note.read_text().split())
        elif phase == ANY:
            self.longest *= 0.9
        return int(code)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", [200, pytest.param(2000, marks=pytest.mark.soak)])
def test_killed_at_random_instants_the_bytes_are_the_same(
    kills: int, fork_servers: Any, game: Path, tmp_path: Path
) -> None:
    both, killed = [], Counter[int]()
    for server, workers in zip(fork_servers, (0, 2), strict=True):
        (tmp_path / f"{workers}").mkdir()
        both.append(Killing(server, game, tmp_path / f"{workers}", workers))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: one.until(kills, killed), both))
    during = both[0].kills + both[1].kills
    print(f"{killed.total()} kills of {[one.finished for one in both]} runs: {dict(during)}")
    assert not both[0].unresumable + both[1].unresumable
    assert not both[0].wrong + both[1].wrong
    assert killed.total() >= kills
    assert set(during) == set(PHASES)
    until = time.monotonic() + 10
    while (orphans := list(filter(alive, killed))) and time.monotonic() < until:
        time.sleep(0.05)
    assert not orphans


def test_of_two_runs_in_one_folder_one_works_and_a_kill_frees_it(
    fork_servers: Any, game: Path, tmp_path: Path
) -> None:
    def fight(server: Any) -> dict[str, Any]:
        words = ["run", str(game), "--out", str(server.log.with_name("fought for"))]
        log = server.log.with_name("fights")
        for _ in range(25):
            log.write_text("")
            pids = [server.start(*words, log=log) for _ in range(2)]
            loser, code = server.wait(*pids)
            (winner,) = set(pids) - {loser}
            os.kill(winner, signal.SIGKILL)
            assert server.wait(winner) == (winner, -signal.SIGKILL)
            assert code == 6, log.read_text()
            assert f"in use by process {winner} on {platform.node()} since 20" in log.read_text()
        assert server.run(*words) == 0
        return contents(Path(words[-1]))

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(fight, fork_servers)
    assert fork_servers[0].run("run", str(game), "--out", str(tmp_path / "whole")) == 0
    assert first == second == contents(tmp_path / "whole")
