"""How networks are computed: chosen by device, said, noted, and changed in one place."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frx import experiment
from frx.cores import cores
from frx.data import Samples, Subset
from frx.errors import RecipeError
from frx.loader import Loader
from frx.loading_processes import worker_count
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.recipe import Compute, load

CPU = torch.device("cpu")
TINY = """\
name = "tiny"
data = { use = "synthetic_faces", size = 16, count = 10 }
degradations = [{ use = "gaussian_noise" }]
model = { use = "unet", width = 4 }
metrics = ["psnr"]

[[stages]]
name = "only"
epochs = 1
batch_size = 4
losses = ["l1"]
"""


@pytest.fixture(autouse=True)
def threads_given_back() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def noted(folder: Path) -> dict[str, Any]:
    keys = ("precision", "memory_format", "compile", "threads")
    record = json.loads((folder / "run.json").read_bytes())
    return {key: record[key] for key in keys}


def test_a_run_says_first_how_it_computes_and_notes_it(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.run(load(recipe_file), tmp_path / "run", CPU)
    first = capsys.readouterr().err.splitlines()[0]
    found = torch.cpu.get_capabilities()
    fast = found.get("amx_bf16") or found.get("avx512_bf16")
    kind = "bf16" if fast else "fp32"
    assert first.startswith("tiny on cpu (")
    assert f"): {kind}, channels_last, not compiled, {cores()} thread" in first
    assert "[compute]" in first
    assert noted(tmp_path / "run") == {
        "precision": kind,
        "memory_format": "channels_last",
        "compile": False,
        "threads": cores(),
    }


def test_one_place_changes_all_of_it(
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    compiled: list[Any] = []

    def compile_nothing(call: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            compiled.append(named)
            return call(*given, **named)

        return counted

    monkeypatch.setattr(torch, "compile", compile_nothing)
    compute = 'compute={precision="fp32", memory_format="contiguous", compile=true, threads=1}'
    experiment.run(load(recipe_file, overrides=[compute]), tmp_path / "run", CPU)
    said = capsys.readouterr().err.splitlines()[0]
    assert "fp32, contiguous, compiled, 1 thread " in said
    assert noted(tmp_path / "run") == {
        "precision": "fp32",
        "memory_format": "contiguous",
        "compile": True,
        "threads": 1,
    }
    assert torch.get_num_threads() == 1
    assert compiled, "the network was never called as it was compiled"


@pytest.mark.filterwarnings("ignore")
def test_without_a_compiler_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "no-such-compiler"))
    precision = Precision(CPU, bf16=False, compiled=True)
    network = precision.place(Seen())
    with pytest.raises(
        RecipeError, match=r"compute\.compile: this cannot be compiled here .*compil"
    ):
        precision.forward(network, {"degraded": torch.rand(1, 3, 8, 8)})


OTHERWISE = {
    "torch": "1.0",
    "device": "cpu (abacus)",
    "precision": "fp8",
    "memory_format": "contiguous",
    "compile": True,
}


def change_record(folder: Path, **otherwise: Any) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | otherwise))


def test_a_run_does_not_go_on_where_the_bytes_would_be_others(
    recipe_file: Path, tmp_path: Path, stop_after: Any
) -> None:
    recipe, folder = load(recipe_file), tmp_path / "run"
    stop_after(recipe, folder, 1)
    record = json.loads((folder / "run.json").read_bytes())
    for key, value in OTHERWISE.items():
        change_record(folder, **record | {key: value})
        before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        with pytest.raises(RecipeError) as caught:
            experiment.run(recipe, folder, CPU)
        first, then, now = str(caught.value).splitlines()
        assert "--allow-env-change goes on all the same" in first
        assert (then, now) == (f"    -{key} = {value}", f"    +{key} = {record[key]}")
        assert {path: path.read_bytes() for path in before} == before


def test_it_does_so_when_asked_to_and_says_so(
    recipe_file: Path, tmp_path: Path, stop_after: Any, frx: Any
) -> None:
    folder = tmp_path / "run"
    words = ("run", str(recipe_file), "--out", str(folder), "--device", "cpu")
    stop_after(load(recipe_file), folder, 1)
    change_record(folder, torch="1.0")
    assert frx(*words)[0] == 2
    code, _, said = frx(*words, "--allow-env-change")
    assert code == 0
    sentence = f"torch was 1.0 and is {torch.__version__}"
    assert f"warning: {sentence}: the bytes are not those of a run without a break" in said
    record = json.loads((folder / "run.json").read_bytes())
    assert record["warnings"] == [f"from step 3 on {sentence}"]
    assert sentence in (folder / "report.html").read_text()


@pytest.mark.skipif(cores() < 2, reason="takes a second core")
def test_threads_are_those_with_which_a_run_was_begun(
    recipe_file: Path, tmp_path: Path, stop_after: Any, bytes_of: Any
) -> None:
    recipe = load(recipe_file, overrides=["data.size=48", "model.width=16", "stages.only.epochs=2"])
    experiment.run(recipe, tmp_path / "whole", CPU)
    stop_after(recipe, tmp_path / "broken", 3)
    bound = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(bound)})
        experiment.run(recipe, tmp_path / "broken", CPU)
        assert torch.get_num_threads() == len(bound)
    finally:
        os.sched_setaffinity(0, bound)
    assert bytes_of(tmp_path / "broken") == bytes_of(tmp_path / "whole")


class Seen(nn.Module):
    """Notes how its weights and its input lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, degraded: Tensor) -> dict[str, Tensor]:
        tensors = {"input": degraded, "weight": self.convolution.weight}
        self.formats = {
            name: tensor.is_contiguous(memory_format=torch.channels_last)
            for name, tensor in tensors.items()
        }
        return {"image": self.convolution(degraded)}


def test_both_memory_formats_give_the_same_picture() -> None:
    picture = torch.rand(2, 8, 8, 3, generator=torch.manual_seed(1)).permute(0, 3, 1, 2)
    made = []
    for memory_format in ("channels_last", "contiguous"):
        torch.manual_seed(2)
        compute = Compute(precision="fp32", memory_format=memory_format)
        precision = Precision.choose(compute, CPU)
        network = precision.place(Seen())
        made.append(precision.forward(network, {"degraded": picture})["image"])
        is_last = memory_format == "channels_last"
        assert network.formats == {"input": is_last, "weight": is_last}
    torch.testing.assert_close(made[0], made[1])


def test_a_trained_network_is_opened_as_asked(recipe_file: Path, tmp_path: Path) -> None:
    experiment.run(load(recipe_file), tmp_path / "run", CPU)
    restorer = Restorer.open(tmp_path / "run", CPU, Compute(precision="fp32"))
    assert restorer.precision == Precision(CPU, bf16=False)


class Niceness:
    """Pictures that show how nice the process is that makes them."""

    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return str(index)

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        return {"clean": np.full((8, 8, 3), os.getpriority(os.PRIO_PROCESS, 0), np.uint8)}


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="a matter of Unix")
@pytest.mark.parametrize("workers", [0, 1])
def test_workers_leave_the_processor_to_training(workers: int) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    samples = Samples(Subset(Niceness(), np.arange(4), workers=workers), 7, [])
    (batch,) = Loader(samples, CPU).batches(np.arange(4), 4)
    assert (batch["clean"] * 255).round().unique().tolist() == [19 if workers else own]


def test_workers_are_there_for_a_gpu_alone_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frx.loading_processes.cores", lambda: 16)
    assert worker_count("auto", CPU) == 0
    assert worker_count("auto", torch.device("cuda")) == 8
    assert worker_count(3, CPU) == 3
    monkeypatch.setattr("frx.loading_processes.cores", lambda: 2)
    assert worker_count("auto", torch.device("cuda")) == 1
