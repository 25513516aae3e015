"""`frx degrade` writing triples of 128 px: all cores beside one.

The whole command, its start of about a second included, bound to one core or to none. Into memory,
where the system has such a folder: how fast a disk makes new files is no matter of cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import photographs
from benchmarks.measuring import Row, paired
from frx.cores import cores

RECIPE = Path(__file__).parents[1] / "recipes" / "inpaint_gan.toml"
MEMORY = Path("/dev/shm")
PICTURES, ROUNDS = 1500, 3
PEER = "one core"


def degraded(folder: Path, cores_used: set[int]) -> None:
    """Damage the pictures in `folder`/clean."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    words = ["degrade", str(folder / "clean"), "-o", str(out), "--recipe", str(RECIPE)]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores_used)  # which the command inherits
    try:
        subprocess.run(
            [sys.executable, "-m", "frx", *words, "--set", "data.size=128"],
            check=True,
            capture_output=True,
            env=os.environ | {"FRX_CACHE": str(folder / "cache")},
        )
    finally:
        os.sched_setaffinity(0, before)


def rows() -> Iterator[Row]:
    every = os.sched_getaffinity(0)
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary)
        (folder / "clean").mkdir()
        photographs.write(folder / "clean", PICTURES, 218, 178, 75)
        candidates = {PEER: partial(degraded, folder, {min(every)})}
        candidates["frx"] = partial(degraded, folder, every)
        measured = paired(candidates, rounds=ROUNDS)
    name = f"{PICTURES} triples, {cores()} cores"
    yield measured.times_better(name, PEER, f"≥ {0.8 * cores():g}")
