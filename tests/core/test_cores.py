"""How many cores a process may use."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from frx import control_groups
from frx.cores import cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system's control groups, in which this process is in a/b of both versions."""
    (tmp_path / "membership").write_text("4:memory:/\n3:cpu,cpuacct:/a/b\n0::/a/b\n")
    seen = {"groups": tmp_path / "groups", "membership": tmp_path / "membership"}
    monkeypatch.setattr(control_groups, "limiting", partial(control_groups.limiting, **seen))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path / "groups"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_limits_all_that_the_process_is_bound_to(groups: Path) -> None:
    assert cores() == 8
    write(groups / "a/b/cpu.max", "max 100000\n")
    write(groups / "cpu/a/b/cpu.cfs_quota_us", "-1\n")
    write(groups / "cpu/a/b/cpu.cfs_period_us", "100000\n")
    assert cores() == 8
    (groups.parent / "membership").unlink()  # no Linux
    assert cores() == 8


@pytest.mark.parametrize(
    ("quota", "found"), [(400_000, 4), (250_000, 3), (20_000, 1), (1_600_000, 8)]
)
@pytest.mark.parametrize("place", ["a/b", "a", "."])
@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_its_share(
    version: int, place: str, quota: int, found: int, groups: Path
) -> None:
    if version == 2:
        write(groups / place / "cpu.max", f"{quota} 100000\n")
    else:
        write(groups / "cpu" / place / "cpu.cfs_quota_us", f"{quota}\n")
        write(groups / "cpu" / place / "cpu.cfs_period_us", "100000\n")
    assert cores() == found


def test_what_makes_no_sense_is_no_limit(groups: Path) -> None:
    write(groups / "a/b/cpu.max", "100000 0\n")
    write(groups / "a/cpu.max", "")
    write(groups.parent / "membership", "nonsense\n3:cpu,cpuacct:/a/b\n0::/a/b\n")
    assert cores() == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot bind a process")
def test_a_bound_process_knows() -> None:
    code = "import os; os.sched_setaffinity(0, [0]); from frx.cores import cores; print(cores())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"


def test_here_there_is_one_at_least() -> None:
    assert 1 <= cores() <= (os.cpu_count() or math.inf)
