"""Memory that runs out for real, and memory that must not grow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from frx import experiment, files, images
from frx.build import Use
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.model_folder import Restorer, export
from frx.recipe import load
from frx.registry import find
from frx.run import Run
from frx.specs import hookimpl

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform != "linux", reason="such a limit is a matter of Linux"),
]

CPU = torch.device("cpu")
MIB = 2**20

TINY = """\
name = "tiny"
compute = { threads = 1, precision = "fp32" }
data = { use = "synthetic_faces", size = 16, count = 20 }
degradations = ["gaussian_noise"]
model = { use = "unet", width = 2 }

[[stages]]
name = "only"
epochs = 1
batch_size = 4
losses = ["l1"]
"""


# A process of its own: one that has freed much could use that again.
WITH_LITTLE = """\
import resource, sys
import psutil
from frx import cli, experiment, restoring

most = psutil.Process().memory_info().vms + int(sys.argv.pop(1)) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
cli.main()
"""


def with_little(more_mib: int, *words: object) -> subprocess.CompletedProcess[str]:
    """`frx words` with so much more memory than it has once it is loaded."""
    command = [sys.executable, "-c", WITH_LITTLE, str(more_mib), *map(str, words)]
    frees = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # what it has done with
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **frees}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_training_says_at_which_batch_it_ran_out_and_what_to_try(
    recipe_file: Path, tmp_path: Path
) -> None:
    larger = ["data.size=128", "model.width=48", "stages.only.batch_size=16"]
    settings = [word for change in larger for word in ("--set", change)]
    done = with_little(200, "run", recipe_file, *settings, "--out", tmp_path / "run")
    assert done.returncode == 5, done.stderr
    assert (
        "stage only: out of memory on cpu at a batch of shape [16, 3, 128, 128]; "
        "try --set stages.only.batch_size=8 and accumulate=2"
    ) in done.stderr


@pytest.mark.parametrize(
    ("tile", "said"),
    [
        pytest.param(["--tile", "512"], "out of memory; tiles halved to 256 px", id="halved"),
        pytest.param([], "in tiles of ", id="foreseen"),
    ],
)
def test_restoring_takes_tiles_that_fit_and_makes_the_same_picture(
    tmp_path: Path, restore: Any, tile: list[str], said: str
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        use = Use(find("model", "unet"), {"width": 32})
        export(tmp_path / "model", use, use.build().state_dict(), {})
    face = SyntheticFaces(size=256, count=1)[0]["clean"]
    images.write(tmp_path / "photo.png", np.tile(face, (2, 2, 1)))
    words = [tmp_path / "photo.png", "-o", tmp_path / "little", "--model", tmp_path / "model"]
    done = with_little(185, "restore", *words, "--whole", *tile)
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    assert ("out of memory" in done.stderr) == bool(tile)
    restorer = Restorer.open(tmp_path / "model", CPU)
    (whole,) = restore([tmp_path / "photo.png"], tmp_path / "much", restorer).done
    pictures = [
        images.read_rgb(folder / whole.name) for folder in (tmp_path / "little", tmp_path / "much")
    ]
    assert np.abs(np.subtract(*pictures, dtype=int)).max() <= 1
    assert not list((tmp_path / "little").rglob(f"{files.PARTIAL}*"))


NOISE = """\
import numpy as np


class Noise:
    '''As many pictures as are wanted, at once.'''

    def __init__(self, *, count: int) -> None:
        self.count = count

    def __len__(self):
        return self.count

    def name(self, index):
        return str(index)

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        return {"clean": rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)}

    def splits(self):
        return {}

    def groups(self):
        return None

    def fingerprint(self):
        return str(self.count)
"""


class Scales:
    """Weighs this process and those that work for it, at the end of each epoch."""

    def __init__(self) -> None:
        self.own: list[int] = []
        self.workers: list[int] = []

    @hookimpl
    def frx_step_end(self, run: Run) -> None:
        if run.position.batch == run.epoch_batches - 1:
            of = psutil.Process()
            self.own.append(of.memory_info().rss)
            self.workers.append(sum(child.memory_info().rss for child in of.children()))


@pytest.mark.parametrize("workers", [0, 1])
def test_memory_does_not_grow_from_epoch_to_epoch(
    workers: int, install: Any, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("noise", NOISE, "[frx.datasets]\nnoise = noise:Noise\n")
    scales, build = Scales(), experiment.build_hooks
    monkeypatch.setattr(experiment, "build_hooks", lambda uses: {"it": scales, **build(uses)})
    overrides = [
        f"data={{use='noise', count=2000, workers={workers}, split=[0.98, 0.01, 0.01]}}",
        *("stages.only.epochs=5", "stages.only.batch_size=50"),
    ]
    experiment.run(load(recipe_file, overrides=overrides), tmp_path / "run", CPU)
    for weights in (scales.own, scales.workers):
        _, first, *later = weights  # after the first epoch those begin that make batches of val
        assert len(later) == 3
        assert max(later) - first < 8 * MIB, weights  # the pictures of one epoch have 12
