"""What the tests of whole runs share."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest
import torch
from attrs import define

from frx import experiment, images
from frx.interruption import Interrupted
from frx.model_folder import Restorer
from frx.recipe import Recipe, load
from frx.restoring.finishing import Finishing
from frx.restoring.jobs import Naming
from frx.restoring.places import Places, Whole
from frx.restoring.record import FileRecord
from frx.restoring.restore import Way
from frx.restoring.restore import restore as restore_photographs

GAME = """\
name = "killed"

[compute]
threads = 1

[data]
use = "folder"
path = "{photos}"
size = 16

[[augmentations]]
use = "horizontal_flip"

[[degradations]]
use = "square_hole"
size_px = 6
margin_px = 2

[model]
use = "pix2pix_unet"     # BatchNorm and dropout
levels = 3
width = 2
dropout = 0.2

[[stages]]
name = "pretrain"
epochs = 2
batch_size = 4
accumulate = 2
optimizer = {{ use = "adam", lr = 1e-2 }}
losses = [{{ use = "l1" }}]

[[stages]]
name = "game"
epochs = 2
batch_size = 4
accumulate = 2
optimizer = {{ use = "adam", lr = 1e-2 }}
losses = [{{ use = "l1" }}]
optimizers.discriminator = {{ use = "adam", lr = 1e-4 }}

  [stages.trainer]
  use = "adversarial"
  discriminator = {{ use = "small_patchgan" }}
  game = {{ use = "hinge" }}

[[metrics]]
use = "psnr"

[[hooks]]
use = "ema"

[[hooks]]
use = "csv"
"""


@pytest.fixture
def recipe_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The recipe TINY of the test's module, as a file."""
    path = tmp_path / "tiny.toml"
    path.write_text(request.module.TINY)
    return path


@pytest.fixture
def recipe(recipe_file: Path) -> Recipe:
    return load(recipe_file)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As fast as two with networks this small, and faster where others work, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", lambda count: None)
        yield
    torch.set_num_threads(before)


@pytest.fixture
def bytes_of() -> Callable[[Path], dict[str, Any]]:
    """All of a run folder that a break must not change."""

    def read(folder: Path) -> dict[str, Any]:
        generations = json.loads((folder / "checkpoints/manifest.json").read_bytes())["generations"]
        names = ("log.jsonl", "scores.json", "scores.csv")
        return {
            **{path.name: path.read_bytes() for path in (folder / "model").iterdir()},
            **{name: (folder / name).read_text() for name in names},
            "checkpoint": {name: part["sha256"] for name, part in generations[-1]["parts"].items()},
        }

    return read


class StopAfter:
    """A signal that comes after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @property
    def number(self) -> int | None:
        self.steps -= 1
        return signal.SIGTERM if self.steps < 0 else None


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recipe, Path, int], Interrupted]:
    """Run a recipe on the CPU until the signal that comes after so many steps; what is raised."""

    def run(recipe: Recipe, folder: Path, steps: int) -> Interrupted:
        with monkeypatch.context() as patch:
            patch.setattr(experiment, "Interruption", lambda: StopAfter(steps))
            with pytest.raises(Interrupted) as caught:
                experiment.run(recipe, folder, torch.device("cpu"))
        return caught.value

    return run


@define
class Restored:
    """What became of photographs."""

    records: list[FileRecord]

    @property
    def done(self) -> list[Path]:
        """What was written."""
        return [Path(one.output) for one in self.records if one.output]

    @property
    def failed(self) -> dict[Path, str]:
        """Reasons by source."""
        return {
            Path(one.source): one.reason or "" for one in self.records if one.status == "failed"
        }

    @property
    def unharmed(self) -> list[Path]:
        """Sources of which nothing was replaced."""
        return [Path(one.source) for one in self.records if one.status == "unchanged"]


@pytest.fixture
def restore() -> Callable[..., Restored]:
    """Restore photographs as `frx restore --whole` would, with any network, each time anew."""
    calls = itertools.count()

    def call(
        inputs: Sequence[Path],
        out: Path,
        restorer: Restorer,
        masks: Path | None = None,
        found_masks: Path | None = None,
        places: Places | None = None,
        naming: Naming | None = None,
        **options: Any,
    ) -> Restored:
        in_part = masks is not None or restorer.finds_damage
        finishing = Finishing(restorer=restorer, found_masks=found_masks, **options)
        way = Way(places or Whole(), naming or Naming(in_part=in_part), finishing)
        settings = f"call {next(calls)}"
        return Restored(restore_photographs(inputs, out, way, masks, settings=settings))

    return call


@pytest.fixture
def forked() -> Callable[..., int]:
    """Do some work in a process, and session, of its own, which has torch already; its number.

    What it says goes to a file; the process ends with the exit code of the work's SystemExit.
    """

    def begin(work: Callable[[], object], said: Path, hang_up: Any = signal.SIG_DFL) -> int:
        number = os.fork()
        if number:
            return number
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGHUP, hang_up)
            output = os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
            work()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    return begin


class ForkServer:
    """Starts `frx` in processes that need not import anything: see `fork_server.py`."""

    def __init__(self, requests: TextIO, answers: TextIO, log: Path) -> None:
        self._requests, self._answers, self.log = requests, answers, log

    def another(self, folder: Path) -> ForkServer:
        """One that works at the same time; it ends with this one."""
        fifos = [folder / "requests", folder / "answers"]
        for fifo in fifos:
            os.mkfifo(fifo)
        self._ask({"serve": [str(fifo) for fifo in fifos]})
        requests = fifos[0].open("w")
        return ForkServer(requests, fifos[1].open(), folder / "log.txt")

    def start(self, *words: str, before: str = "", log: Path | None = None) -> int:
        """Start `frx words`, once the code `before` has run there; its process id."""
        pid: int = self._ask({"start": words, "log": str(log or self.log), "before": before})
        return pid

    def wait(
        self, *pids: int, seconds: float = 100, note: Path = Path(), phase: str = ""
    ) -> tuple[int, int]:
        """Which process ended, and its exit code, that of a signal negative.

        It is the one that ends first; if none has after so many seconds, the first is killed. The
        seconds count from when `phase` stands in the file `note`.
        """
        asked = {"wait": pids, "seconds": seconds, "note": str(note), "phase": phase}
        pid, status = self._ask(asked)
        return pid, os.waitstatus_to_exitcode(status)

    def run(self, *words: str, before: str = "") -> int:
        """The exit code of `frx words`."""
        return self.wait(self.start(*words, before=before))[1]

    def close(self) -> None:
        self._requests.close()
        self._answers.close()

    def _ask(self, request: dict[str, Any]) -> Any:
        print(json.dumps(request), file=self._requests, flush=True)
        return json.loads(self._answers.readline())


@pytest.fixture(scope="session")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of two stages, the second adversarial, for twenty pictures."""
    folder = tmp_path_factory.mktemp("game")
    noise = np.random.default_rng(0)
    for number in range(20):
        images.write(folder / f"photos/{number}.png", noise.integers(0, 256, (16, 16, 3), np.uint8))
    path = folder / "game.toml"
    path.write_text(GAME.format(photos=folder / "photos"))
    return path


@pytest.fixture(scope="session")
def fork_servers(
    game: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ForkServer, ForkServer]]:
    """Two, for two processors; they know the components of `game`."""
    folder = tmp_path_factory.mktemp("fork-server")
    command = [sys.executable, str(Path(__file__).with_name("fork_server.py")), str(game)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FRX_CACHE": str(folder / "cache")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        first = ForkServer(process.stdin, process.stdout, folder / "log.txt")
        second = first.another(tmp_path_factory.mktemp("fork-server"))
        yield first, second
        second.close()
        first.close()


@pytest.fixture
def fork_server(fork_servers: tuple[ForkServer, ForkServer]) -> ForkServer:
    """One that starts `frx` without importing torch each time."""
    return fork_servers[0]
