"""Odd surroundings: the same bytes, or one clear sentence."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment
from frx.errors import ResourceError
from frx.recipe import load

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts are a matter of Linux"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork beside torch's idle threads
]

CPU = torch.device("cpu")

TINY = """\
name = "tiny"
compute = { threads = 1 }
data = { use = "synthetic_faces", size = 16, count = 20, workers = 1 }
augmentations = ["horizontal_flip"]
degradations = [{ use = "one_of", of = ["gaussian_noise", "downsample"] }]
model = { use = "pix2pix_unet", levels = 2, width = 2, dropout = 0.5 }
metrics = ["psnr"]
hooks = ["ema", "samples", "curves", "csv"]

[[stages]]
name = "only"
epochs = 2
batch_size = 4
losses = ["l1"]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in ordinary surroundings."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.toml").write_text(TINY)
    experiment.run(load(folder / "tiny.toml"), folder / "run", CPU)
    return folder / "run"


# An interpreter that knows no UTF-8, a home that is no folder, no place for temporary files; a
# clock that goes back an hour whenever it is read.
SURROUNDINGS = {
    "poor": {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONHASHSEED": "1",
        "TZ": "Pacific/Kiritimati",
        "HOME": os.devnull,
        "TMPDIR": "/no/such/folder",
    },
    "foreign": {
        "LANG": "tr_TR.ISO-8859-9",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "2",
        "TZ": "America/St_Johns",
    },
}
GOES_BACK = """\
import itertools, resource, runpy, sys, time
clock, hours = time.time, itertools.count()
time.time = lambda: clock() - 3600 * next(hours)
time.time_ns = lambda: int(time.time() * 1e9)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
runpy.run_module("frx", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_change_no_byte(
    name: str, recipe_file: Path, tmp_path: Path, whole: Path, bytes_of: Any, stop_after: Any
) -> None:
    folder = tmp_path / "a földer"
    stop_after(load(recipe_file), folder, 2)  # so it was begun later, by its own clock
    words = ["run", str(recipe_file), "--out", str(folder), "--device", "cpu"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    ended = subprocess.run(
        [sys.executable, "-c", GOES_BACK, *words],
        env=kept | SURROUNDINGS[name],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = ended.stderr.decode("utf-8", "replace")
    assert ended.returncode == 0, said
    assert "Traceback" not in said
    assert "psnr" in ended.stdout.decode("utf-8", "replace")
    assert bytes_of(folder) == bytes_of(whole)


Before = Callable[[Path], object]


def without_shared_memory(tmp_path: Path) -> None:
    """Take /dev/shm away from this process; skips where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private, read_only = 0x20000, 1 << 18 | 1 << 14, 1
    alone = libc.unshare(new_mounts) == 0 and libc.mount(b"none", b"/", None, private, None) == 0
    if not alone or libc.mount(b"none", b"/dev/shm", b"tmpfs", read_only, None) != 0:
        raise SystemExit(77)


def with_few_files(tmp_path: Path) -> None:
    """Allow this process two files more than it has."""
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, free + 2))


@pytest.mark.parametrize("poor", [without_shared_memory, with_few_files])
def test_where_no_process_can_be_begun_a_sentence_says_how_to_do_without(
    poor: Before, recipe_file: Path, tmp_path: Path, forked: Any
) -> None:
    def train() -> None:
        recipe = load(recipe_file)
        run = experiment.open_run(recipe, tmp_path / "run", CPU)
        run.begin_stage()
        run.folder.mkdir()
        poor(tmp_path)
        try:
            experiment.train(run)
        except ResourceError as error:
            print(error, flush=True)
            raise SystemExit(error.exit_code) from error

    said = tmp_path / "said"
    _, status = os.waitpid(forked(train, said), 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 77:
        pytest.skip("mounts are not to be had here")
    assert code == 5, said.read_text()
    assert "a process that loads data cannot be begun (" in said.read_text()
    assert "data.workers = 0 loads without" in said.read_text()
