"""Checkpoints that are damaged, lost or lack a part: all is found, and costs one generation."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment
from frx.checkpoint import BEFORE, MANIFEST, Checkpoints
from frx.errors import DataError
from frx.recipe import Recipe

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 16
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "unet"
width = 2

[[stages]]
name = "only"
epochs = 3
batch_size = 8
losses = [{ use = "l1" }]

[[metrics]]
use = "psnr"
"""
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def parts(value: int) -> dict[str, Any]:
    return {"state": {"value": value, "w": torch.rand(500)}, "best": {"w": torch.rand(300)}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with two generations, each of two files."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for value in (1, 2):
        checkpoints.save(value, parts(value))
    checkpoints.wait()
    return tmp_path / "checkpoints"


def newest(folder: Path, part: str) -> Path:
    """A file of the newest generation; "manifest" is what names them."""
    if part == "manifest":
        return folder / MANIFEST
    manifest = json.loads((folder / MANIFEST).read_bytes())
    return folder / manifest["generations"][-1]["parts"][part]["file"]


def truncated(raw: bytes) -> Iterator[bytes]:
    for tenths in range(10):
        yield raw[: len(raw) * tenths // 10]
    yield raw[:-1]


def flipped(raw: bytes) -> Iterator[bytes]:
    draw = random.Random(0)
    for _ in range(100):
        other = bytearray(raw)
        other[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
        yield bytes(other)


def other_files(raw: bytes) -> Iterator[bytes]:
    yield raw + b"\n"
    yield b"\0" * len(raw)
    yield json.dumps({"generations": []}).encode()
    yield b"{}"
    yield b"[1]"


@pytest.mark.parametrize("part", ["state", "best", "manifest"])
@pytest.mark.parametrize("damage", [truncated, flipped, other_files])
def test_damage_of_any_kind_costs_one_generation(
    part: str, damage: Callable[[bytes], Iterator[bytes]], folder: Path
) -> None:
    path = newest(folder, part)
    raw = path.read_bytes()
    for damaged in damage(raw):
        path.write_bytes(damaged)
        found, passed = Checkpoints(folder).load()
        assert found is not None
        assert found["state"]["value"] == 1
        (sentence,) = passed
        assert str(path) in sentence
        assert "the generation before it is used" in sentence
    path.write_bytes(raw)
    assert Checkpoints(folder).load()[1] == []


@pytest.mark.parametrize("part", ["state", "best", "manifest"])
def test_another_generations_file_or_none_costs_one_generation(part: str, folder: Path) -> None:
    before = Checkpoints(folder.with_name("before"))
    before.save(1, parts(3))
    before.wait()
    path = newest(folder, part)
    for wrong in (lambda: shutil.copy(newest(before.folder, part), path), path.unlink):
        wrong()
        found, passed = Checkpoints(folder).load()
        assert found is not None
        assert found["state"]["value"] == 1
        assert str(folder) in passed[0]


def test_a_run_whose_manifest_was_damaged_saves_two_whole_generations_again(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"")
    checkpoints = Checkpoints(folder)
    checkpoints.load()
    checkpoints.save(3, parts(3))
    checkpoints.wait()
    newest(folder, "state").write_bytes(b"")
    found, passed = Checkpoints(folder).load()
    assert found is not None
    assert found["state"]["value"] == 1
    assert len(passed) == 1
    assert len(list(folder.glob("*.safetensors"))) == 4


@pytest.mark.parametrize("lost", [b"", None])
def test_where_no_manifest_is_left_that_is_said(lost: bytes | None, folder: Path) -> None:
    for name in (MANIFEST, BEFORE):
        (folder / name).unlink()
        if lost is not None:
            (folder / name).write_bytes(lost)
    reason = (
        rf"{folder}/manifest.*json: (missing|damaged .*); no whole checkpoint is left \(--fresh"
    )
    with pytest.raises(DataError, match=reason):
        Checkpoints(folder).load()


def test_files_that_no_manifest_names_are_removed(
    tmp_path: Path,
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, parts(1))
    checkpoints.wait()
    Checkpoints(tmp_path).load()
    (path,) = tmp_path.glob("state-*")
    shutil.copy(path, path.with_name("state-000000002-0.safetensors"))
    assert Checkpoints(tmp_path).load()[1] == []
    assert len(list(tmp_path.glob("state-*"))) == 1


SECTIONS = [
    *("position", "networks", "random", "hooks", "bad_images", "warnings", "finished_stages"),
    *("position.best", "random.cpu", "hooks.log", "networks.model"),
]
IN_NETWORK = ["weights", "optimizer", "pending", "gradients"]


def test_a_state_that_lacks_a_part_is_refused(
    recipe: Recipe, tmp_path: Path, stop_after: Any
) -> None:
    stop_after(recipe, tmp_path / "run", 3)
    folder = tmp_path / "run/checkpoints"
    refused = 0
    for section in [*SECTIONS, *(f"networks.model.{name}" for name in IN_NETWORK)]:
        shutil.copytree(folder, tmp_path / "kept")
        checkpoints = Checkpoints(folder)
        found, _ = checkpoints.load()
        assert found is not None
        *tables, key = section.split(".")
        inner = found["state"]
        for table in tables:
            inner = inner[table]
        del inner[key]
        checkpoints.save(3, found)
        checkpoints.wait()
        with pytest.raises(
            DataError, match=rf"^{folder}: the checkpoint .*\b{key}\b.*--fresh"
        ) as caught:
            experiment.run(recipe, tmp_path / "run", CPU)
        assert caught.value.exit_code == 3
        refused += 1
        shutil.rmtree(folder)
        (tmp_path / "kept").rename(folder)
    assert refused == len(SECTIONS) + len(IN_NETWORK)
    experiment.run(recipe, tmp_path / "run", CPU)


def test_weights_that_are_missing_are_refused(
    recipe: Recipe, tmp_path: Path, stop_after: Any
) -> None:
    stop_after(recipe, tmp_path / "run", 3)
    checkpoints = Checkpoints(tmp_path / "run/checkpoints")
    found, _ = checkpoints.load()
    assert found is not None
    weights = found["state"]["networks"]["model"]["weights"]
    name = next(iter(weights))
    del weights[name]
    checkpoints.save(3, found)
    checkpoints.wait()
    with pytest.raises(DataError, match=rf"does not fit the network model \(.*{name}"):
        experiment.run(recipe, tmp_path / "run", CPU)
