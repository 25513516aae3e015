"""Checkpoints: nothing is lost in packing, damage is found, the generation before is used."""

import json
import math
from pathlib import Path

import pytest
import torch

from frx.checkpoint import Checkpoints, pack, unpack
from frx.errors import DataError

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
    for step in (1, 2):
        Checkpoints(tmp_path).save(step, {"state": {}, "best": {"w": torch.full((9,), step)}})
    newest(tmp_path, "best").write_bytes(b"")
    checkpoints = Checkpoints(tmp_path)
    checkpoints.load()
    checkpoints.save(3, {"state": {"value": 3}})
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
