"""Checkpoints: nothing is lost in packing, damage is found, the generation before is used."""

import errno
import hashlib
import json
import math
import mmap
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import files
from frx.checkpoint import Checkpoints, pack, unpack
from frx.errors import DataError, ResourceError

STATE = {
    "numbers": [1, 2.5, math.inf, None, True, "text"],
    "betas": (0.9, 0.999),
    "moments": {0: {"step": torch.tensor(3.0)}, 1: {"step": torch.tensor(4.0)}},
    "weights": {"a.b": torch.arange(6.0).reshape(2, 3)},
}


def test_unpack_is_the_inverse_of_pack() -> None:
    tree, tensors = pack(STATE)
    back = unpack(json.loads(json.dumps(tree)), tensors)
    assert back["numbers"] == STATE["numbers"]
    assert back["betas"] == (0.9, 0.999)
    assert list(back["moments"]) == [0, 1]
    assert torch.equal(back["weights"]["a.b"], STATE["weights"]["a.b"])


def test_what_json_and_tensors_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="/hooks/x: a set cannot be kept"):
        pack({"hooks": {"x": {1, 2}}})


def save(folder: Path, *values: float) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step, value in enumerate(values):
        checkpoints.save(step, {"state": {"value": value, "tensor": torch.full((1000,), value)}})
    checkpoints.wait()
    return checkpoints


def test_two_generations_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1.0, 2.0, 3.0)
    parts, passed = checkpoints.load()
    assert parts is not None
    assert parts["state"]["value"] == 3.0
    assert not passed
    assert len(list(tmp_path.glob("state-*.safetensors"))) == 2


def test_a_part_that_is_left_out_is_carried_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"state": {"value": 1}, "best": {"w": torch.ones(2)}})
    for step in (2, 3, 4):
        checkpoints.save(step, {"state": {"value": step}})
    parts, _ = checkpoints.load()
    assert parts is not None
    assert parts["state"]["value"] == 4
    assert torch.equal(parts["best"]["w"], torch.ones(2))


def newest(folder: Path, part: str = "state") -> Path:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return folder / manifest["generations"][-1]["parts"][part]["file"]


def test_what_is_damaged_is_not_carried_over(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path)
    for step in (1, 2):
        first.save(step, {"state": {}, "best": {"w": torch.full((9,), step)}})
    first.wait()
    newest(tmp_path, "best").write_bytes(b"")
    checkpoints = Checkpoints(tmp_path)
    checkpoints.load()
    checkpoints.save(3, {"state": {"value": 3}})
    checkpoints.wait()
    parts, passed = Checkpoints(tmp_path).load()
    assert not passed
    assert parts is not None
    assert parts["best"]["w"].tolist() == [1] * 9


DAMAGE = {
    "empty": lambda raw: b"",
    "cut in half": lambda raw: raw[: len(raw) // 2],
    "a byte short": lambda raw: raw[:-1],
    "a byte long": lambda raw: raw + b"x",
    "a bit flipped in the header": lambda raw: raw[:20] + bytes([raw[20] ^ 1]) + raw[21:],
    "a bit flipped in a tensor": lambda raw: raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_the_generation_before_is_used(damage: str, tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1.0, 2.0)
    path = newest(tmp_path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    parts, passed = checkpoints.load()
    assert parts is not None
    assert parts["state"]["value"] == 1.0
    (sentence,) = passed
    assert path.name in sentence


def test_nothing_whole_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1.0, 2.0)
    for path in tmp_path.glob("state-*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="has 0 bytes instead of"):
        checkpoints.load()


def test_a_missing_file_counts_as_damage_and_no_manifest_as_a_new_run(tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1.0, 2.0)
    newest(tmp_path).unlink()
    parts, _ = checkpoints.load()
    assert parts is not None
    assert parts["state"]["value"] == 1.0
    assert Checkpoints(tmp_path / "elsewhere").load() == (None, [])


def test_what_is_saved_is_what_was_there_when_it_was_saved(tmp_path: Path) -> None:
    weights = torch.rand(3_000_000)
    state: dict[str, Any] = {"weights": weights, "losses": [0.5]}
    before = weights.clone()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"state": state})
    weights.zero_()
    state["losses"].append(0.25)
    parts, _ = checkpoints.load()
    assert parts is not None
    assert torch.equal(parts["state"]["weights"], before)
    assert parts["state"]["losses"] == [0.5]


def test_states_may_grow_and_shrink_from_one_save_to_the_next(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step, count in enumerate((1000, 10, 5_000_000, 0, 77_777)):
        parts = {"state": {"w": torch.rand(count)}, "best": {"w": torch.rand(count + 1)}}
        checkpoints.save(step, parts)
        read, passed = checkpoints.load()
        assert not passed
        assert read is not None
        for name in parts:
            assert torch.equal(read[name]["w"], parts[name]["w"])


def test_the_manifest_has_the_size_and_the_sha256_of_each_file(tmp_path: Path) -> None:
    save(tmp_path, 1.0, 2.0)
    for generation in json.loads((tmp_path / "manifest.json").read_bytes())["generations"]:
        for part in generation["parts"].values():
            raw = (tmp_path / part["file"]).read_bytes()
            assert part["bytes"] == len(raw)
            assert part["sha256"] == hashlib.sha256(raw).hexdigest()


def test_two_saves_at_one_step_are_two_generations(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for value in (1, 2):
        checkpoints.save(7, {"state": {"value": value}})
    checkpoints.wait()
    newest(tmp_path).unlink()
    parts, _ = checkpoints.load()
    assert parts == {"state": {"value": 1}}


Breaks = Callable[[pytest.MonkeyPatch], None]


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(os, "fsync", fail)


def no_folder(patch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    patch.setattr(os, "replace", fail)
    patch.setattr(Path, "replace", fail)


@pytest.mark.parametrize("broken", [full_disk, no_folder])
@pytest.mark.parametrize("then", ["save", "wait"])
def test_what_cannot_be_written_is_said_at_the_next_call_and_costs_no_generation(
    broken: Breaks, then: str, tmp_path: Path
) -> None:
    checkpoints = save(tmp_path, 1.0, 2.0)
    there = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        checkpoints.save(3, {"state": {"value": 3.0}})
        with pytest.raises(ResourceError, match=r"state-000000003-.*: cannot be written"):
            checkpoints.wait() if then == "wait" else checkpoints.save(4, {"state": {}})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == there
    checkpoints.wait()  # it is said once
    checkpoints.save(5, {"state": {"value": 5.0}})
    parts, _ = checkpoints.load()
    assert parts == {"state": {"value": 5.0}}


def test_a_file_system_that_cannot_pass_by_the_cache_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, asked = os.open, []

    def refuse(path: Any, flags: int, *given: Any, **more: Any) -> int:
        if flags & os.O_DIRECT:
            asked.append(path)
            raise OSError(errno.EINVAL, "Invalid argument")
        return opened(path, flags, *given, **more)

    monkeypatch.setattr(os, "O_DIRECT", getattr(os, "O_DIRECT", 1 << 30), raising=False)
    monkeypatch.setattr(os, "open", refuse)
    parts, passed = save(tmp_path, 1.0).load()
    assert asked
    assert not passed
    assert parts is not None
    assert parts["state"]["value"] == 1.0


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, files.WRITTEN_AT_ONCE + 5])
def test_a_file_gets_so_many_bytes_of_the_pages(size: int, tmp_path: Path) -> None:
    memory_N = torch.frombuffer(mmap.mmap(-1, 4096 * (size // 4096 + 1)), dtype=torch.uint8)
    memory_N.copy_(torch.arange(len(memory_N)) % 251)
    files.fill_past_cache(tmp_path / "file", memoryview(memory_N.numpy()), size)
    assert (tmp_path / "file").read_bytes() == bytes(memory_N[:size].tolist())


def test_the_end_of_the_process_waits_until_all_is_written(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from frx.checkpoint import Checkpoints\n"
        "Checkpoints(Path(sys.argv[1])).save(1, {'state': {'w': torch.ones(5_000_000)}})\n"
        "raise SystemExit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert ended.returncode == 3
    parts, passed = Checkpoints(tmp_path).load()
    assert not passed
    assert parts is not None
    assert parts["state"]["w"].sum() == 5_000_000


def _hash_and_write(path: Path) -> None:
    hashlib.sha256(b"as a data set may").hexdigest()
    files.write(path, "done")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_processes_that_are_forked_while_one_is_written_can_work(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    forked = multiprocessing.get_context("fork")
    during = 0
    for number in range(20):
        checkpoints.save(number, {"state": {"w": torch.full((2_000_000,), number)}})
        during += checkpoints.is_writing
        process = forked.Process(target=_hash_and_write, args=(tmp_path / f"{number}.txt",))
        process.start()
        process.join(timeout=20)
        assert process.exitcode == 0
    assert during
    parts, passed = checkpoints.load()
    assert not passed
    assert parts is not None
    assert set(parts["state"]["w"].tolist()) == {19}
