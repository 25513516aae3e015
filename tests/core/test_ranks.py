"""Several processes that train one run together, as torchrun starts them: real ones, on the CPU."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from frx import experiment
from frx.cores import cores
from frx.model_folder import Restorer
from frx.recipe import load

PLAIN = """\
name = "plain"
compute = { precision = "fp32", threads = 1 }

[data]
use = "synthetic_faces"
size = 32
count = 27

[[augmentations]]
use = "horizontal_flip"

[[degradations]]
use = "gaussian_noise"

[model]
use = "unet"
width = 4

[[stages]]
name = "only"
epochs = 3
batch_size = 4
accumulate = 2
clip_norm = 1.0
optimizer = { use = "adam", lr = 1e-3 }
losses = [{ use = "mse", weight = 4 }, { use = "l1" }]

[[metrics]]
use = "psnr"

[[hooks]]
use = "gradient_norms"
"""

# BatchNorm, dropout, an average of the weights, and epochs that end with gradients that wait.
GAN = """\
name = "game"
compute = { precision = "fp32", threads = 1 }

[data]
use = "synthetic_faces"
size = 32
count = 26

[[degradations]]
use = "square_hole"

[model]
use = "pix2pix_unet"
width = 4

[[stages]]
name = "warm-up"
epochs = 1
batch_size = 4
losses = [{ use = "l1" }]

[[stages]]
name = "game"
epochs = EPOCHS
batch_size = 4
accumulate = 3
losses = [{ use = "l1" }]

[stages.trainer]
use = "adversarial"
discriminator = { use = "small_patchgan" }
game = { use = "least_squares" }
weight = 0.01
hold_back = 0.3

[[metrics]]
use = "psnr"

[[hooks]]
use = "ema"
decay = 0.9

[[hooks]]
use = "samples"
count = 1
"""

# What both processes of one pair do, one after the other; rank 0 notes what came of it.
TOGETHER = """\
import json, sys
from pathlib import Path

import attrs
import torch

from frx import experiment, ranks
from frx.cores import cores
from frx.loader import Batch
from frx.errors import DivergedError
from frx.interruption import Interrupted
from frx.recipe import load
from frx.run import train

CPU = torch.device("cpu")
here, *recipes = map(Path, sys.argv[1:])
seen = {}


def diverged(run):
    run.begin_stage()
    weight = run.networks["model"].parameters[0]
    before = weight.detach().clone()
    run.batch = Batch({"clean": torch.zeros(1, 3, 4, 4)}, [f"picture {ranks.rank()}"], [])
    run.batch.whole = 2
    try:
        run.update("model", weight.sum() * (float("nan") if ranks.rank() == 1 else 1.0))
    except DivergedError as error:
        return [str(error), bool(torch.equal(before, weight))]


class StopOnRank1:  # a signal that comes to one process only, after four steps
    steps = 4

    @property
    def number(self):
        self.steps -= ranks.rank()
        return 15 if self.steps < 0 else None


def stopped(recipe, folder):
    usual, experiment.Interruption = experiment.Interruption, StopOnRank1
    try:
        experiment.run(recipe, folder, CPU)
    except Interrupted as error:
        return str(error)
    finally:
        experiment.Interruption = usual


def completed():
    left = [("torn.png", "torn.png: damaged")]
    if ranks.rank() == 1:
        batch = Batch({}, [], left)
    else:
        batch = Batch({"clean": torch.arange(48.0).reshape(1, 3, 4, 4)}, ["whole.png"], [])
    (batch,) = ranks.completed([batch], CPU)
    mean = ranks.mean(torch.tensor(7.0 if ranks.rank() == 0 else 1000.0), batch)
    return [batch.size, batch.whole, batch.bad, float(batch["clean"].sum()), float(mean)]


with ranks.joined(CPU):
    seen["cores"] = cores()
    seen["completed"] = ranks.gathered(completed())
    plain = load(here / "plain.toml")
    run = experiment.open_run(plain, here / "nothing", CPU)
    seen["diverged"] = ranks.gathered(diverged(run))
    experiment.run(plain, here / "plain", CPU)
    sharded = attrs.evolve(plain, compute=attrs.evolve(plain.compute, shard=True))
    experiment.run(sharded, here / "sharded", CPU)
    seen["stopped"] = ranks.gathered(stopped(sharded, here / "broken"))
    experiment.run(sharded, here / "broken", CPU)
    experiment.run(load(here / "game.toml"), here / "game", CPU)
    for path in recipes:
        recipe = load(path, profiles=["quick"])
        small = ["data.count=12", "data.size=32", "metrics=[]", "baselines=[]"]
        for stage in recipe.stages:
            small += [f"stages.{stage.name}.{key}" for key in ("epochs=1", "batch_size=5")]
        recipe = load(path, profiles=["quick"], overrides=small)
        run = experiment.open_run(recipe, here / f"{path.stem}-{ranks.rank()}", CPU)
        run.folder.mkdir()
        train(run)
        weights = torch.cat([p.detach().flatten() for p in run.model.parameters()])
        sums = ranks.gathered(weights.double().sum().item())
        seen[path.stem] = [run.step, len(recipe.stages), sums[0] == sums[1]]
    del run
    if ranks.rank() == 0:
        (here / "seen.json").write_text(json.dumps(seen))
"""

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
VARIANTS = [path for path in RECIPES if "\nextends = " in path.read_text()]
SYSTEMS = [path for path in RECIPES if path not in VARIANTS]
CPU = torch.device("cpu")
LIMIT_S = 300  # only catches what hangs


def torchrun(*words: str | Path, processes: int = 2) -> subprocess.Popen[str]:
    starter = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [*starter, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def make_together(here: Path, recipes: Sequence[Path]) -> dict[str, Any]:
    """Let two processes fill a folder; what rank 0 has noted."""
    (here / "plain.toml").write_text(PLAIN)
    (here / "game.toml").write_text(GAN.replace("EPOCHS", "20"))
    (here / "together.py").write_text(TOGETHER)
    pair = torchrun(here / "together.py", here, *recipes)
    said, _ = pair.communicate(timeout=LIMIT_S)
    assert pair.returncode == 0, said
    found: dict[str, Any] = json.loads((here / "seen.json").read_bytes())
    return {**found, "said": said}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two processes fill."""
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def seen(together: Path) -> dict[str, Any]:
    """What they noted, the folder being full."""
    return make_together(together, SYSTEMS)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def numbers(folder: Path) -> list[float]:
    return [v for line in lines(folder) for v in line.values() if isinstance(v, float)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one process, of the recipe PLAIN."""
    here = tmp_path_factory.mktemp("alone")
    (here / "plain.toml").write_text(PLAIN)
    experiment.run(load(here / "plain.toml"), here / "plain", CPU)
    return here / "plain"


@pytest.mark.parametrize("way", ["plain", "sharded"])
def test_two_processes_have_the_losses_of_one(
    way: str, together: Path, alone: Path, seen: dict[str, Any]
) -> None:
    # 22 training pictures in batches of 4: the last one of an epoch has one picture a process.
    assert lines(together / way)[0]["step"] == 6
    assert numbers(together / way) == pytest.approx(numbers(alone), abs=1e-6, rel=1e-5)


@pytest.mark.parametrize("way", ["plain", "sharded"])
def test_what_two_processes_export_one_opens(
    way: str, together: Path, alone: Path, seen: dict[str, Any]
) -> None:
    of_two, of_one = (Restorer.open(folder, CPU).module for folder in (together / way, alone))
    for mine, theirs in zip(of_two.parameters(), of_one.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_a_signal_to_one_process_stops_all_and_shared_out_weights_go_on_with_the_same_bytes(
    together: Path, seen: dict[str, Any], bytes_of: Callable[[Path], Mapping[str, Any]]
) -> None:
    assert ["stopped after step 5" in str(said) for said in seen["stopped"]] == [True, True]
    assert bytes_of(together / "broken") == bytes_of(together / "sharded")


def test_a_run_notes_how_many_processes_there_were_and_only_the_first_speaks(
    together: Path, alone: Path, seen: dict[str, Any]
) -> None:
    counts = [
        json.loads((f / "run.json").read_bytes())["world_size"] for f in (alone, together / "plain")
    ]
    assert counts == [1, 2]
    assert seen["said"].count("epoch 2/3: validation") == 3  # plain, sharded, broken
    assert "arning" not in seen["said"]


def test_a_number_that_is_none_in_one_process_stops_all(seen: dict[str, Any]) -> None:
    for rank, (said, untouched) in enumerate(seen["diverged"]):
        assert "the loss of model is nan" in said
        assert f"picture {rank}" in said
        assert untouched


def test_a_process_without_a_picture_takes_part_and_counts_nothing(seen: dict[str, Any]) -> None:
    bad = [["torn.png", "torn.png: damaged"]]
    sum_of_whole = sum(range(48))
    assert seen["completed"] == [[1, 1, bad, sum_of_whole, 7.0], [0, 1, bad, sum_of_whole, 7.0]]


def test_processes_share_the_cores(seen: dict[str, Any]) -> None:
    assert seen["cores"] == max(1, cores() // 2)


@pytest.mark.parametrize("recipe", [path.stem for path in SYSTEMS])
def test_every_system_trains_in_two_processes(recipe: str, seen: dict[str, Any]) -> None:
    steps, stages, alike = seen[recipe]
    assert steps == 2 * stages
    assert alike


@pytest.mark.soak
def test_every_recipe_trains_in_two_processes(tmp_path: Path) -> None:
    seen = make_together(tmp_path, VARIANTS)
    for path in VARIANTS:
        steps, stages, alike = seen[path.stem]
        assert steps == 2 * stages, path.stem
        assert alike, path.stem


def workers_of(launcher: subprocess.Popen[str]) -> list[psutil.Process]:
    """The ranks, by rank."""
    try:
        children = psutil.Process(launcher.pid).children()
        return sorted(children, key=lambda child: int(child.environ().get("RANK", -1)))
    except psutil.Error:
        return []


def further(launcher: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    """Wait until a run has come further than it ever was; its ranks."""
    log = folder / "log.jsonl"
    ended = time.monotonic() + LIMIT_S
    before = max((line["step"] for line in lines(folder)), default=0) if log.exists() else 0
    while not log.exists() or before >= max((x["step"] for x in lines(folder)), default=0):
        assert launcher.poll() is None, launcher.communicate()[0]
        assert time.monotonic() < ended
        time.sleep(0.02)
    return workers_of(launcher)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all end."""
    return not psutil.wait_procs(processes, timeout=LIMIT_S)[1]


def test_killed_in_every_way_a_run_of_two_processes_ends_with_the_same_bytes(
    together: Path,
    seen: dict[str, Any],
    tmp_path: Path,
    bytes_of: Callable[[Path], Mapping[str, Any]],
) -> None:
    recipe, folder = together / "game.toml", tmp_path / "run"
    run = ("-m", "frx", "run", recipe, "--out", folder, "--device", "cpu")

    killed = torchrun(*run)
    pair = further(killed, folder)
    pair[1].kill()
    said, _ = killed.communicate(timeout=LIMIT_S)
    assert killed.returncode != 0
    assert gone(pair)
    assert "another process of the run has ended" in said or "SIGTERM" in said

    orphaned = torchrun(*run)
    pair = further(orphaned, folder)
    orphaned.kill()
    assert gone(pair)

    stopped = torchrun(*run)
    pair = further(stopped, folder)
    stopped.send_signal(signal.SIGTERM)
    said, _ = stopped.communicate(timeout=LIMIT_S)
    assert stopped.returncode != 0
    assert gone(pair)
    assert "the same command goes on" in said

    last = torchrun(*run)
    said, _ = last.communicate(timeout=LIMIT_S)
    assert last.returncode == 0, said
    assert bytes_of(folder) == bytes_of(together / "game")
