"""Memory that runs out for real, and memory that must not grow."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from frx import experiment, files, images
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import FrxError
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.recipe import load
from frx.run import Run
from frx.specs import hookimpl
from frx_models.unet import UNet

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform != "linux", reason="such a limit is a matter of Linux"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork beside torch's idle threads
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


def leave(more_mib: int) -> None:
    """Let this process have so much more memory than it has."""
    most = psutil.Process().memory_info().vms + more_mib * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def test_training_says_at_which_batch_it_ran_out_and_what_to_try(
    recipe_file: Path, tmp_path: Path, forked: Any
) -> None:
    overrides = ["data.size=128", "model.width=48", "stages.only.batch_size=16"]

    def train() -> None:
        leave(200)
        try:
            experiment.run(load(recipe_file, overrides=overrides), tmp_path / "run", CPU)
        except FrxError as error:
            print(error, flush=True)
            raise SystemExit(error.exit_code) from error

    said = tmp_path / "said"
    _, status = os.waitpid(forked(train, said), 0)
    assert os.waitstatus_to_exitcode(status) == 5, said.read_text()
    assert (
        "stage only: out of memory on cpu at a batch of shape [16, 3, 128, 128]; "
        "try --set stages.only.batch_size=8 and accumulate=2"
    ) in said.read_text()


def test_restoring_halves_tiles_until_they_fit_and_makes_the_same_picture(
    tmp_path: Path, restore: Any, forked: Any
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        precision = Precision(CPU, bf16=False)
        restorer = Restorer(precision.place(UNet(width=32)).eval(), precision, {})
    face = SyntheticFaces(size=256, count=1)[0]["clean"]
    images.write(tmp_path / "photo.png", np.tile(face, (2, 2, 1)))

    def restore_with_little() -> None:
        leave(160)
        restored = restore([tmp_path / "photo.png"], tmp_path / "little", restorer)
        print(restored.failed, flush=True)
        raise SystemExit(3 if restored.failed else 0)

    said = tmp_path / "said"
    _, status = os.waitpid(forked(restore_with_little, said), 0)
    assert os.waitstatus_to_exitcode(status) == 0, said.read_text()
    assert "out of memory; tiles halved to " in said.read_text()
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
        *("stages.only.epochs=4", "stages.only.batch_size=50"),
    ]
    experiment.run(load(recipe_file, overrides=overrides), tmp_path / "run", CPU)
    for weights in (scales.own, scales.workers):
        first, *later = weights
        assert len(later) == 3
        assert max(later) - first < 8 * MIB, weights  # the pictures of one epoch have 12
