"""How much memory there is, and how torch says that there is no more."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from frx.memory import free_bytes, is_out_of_memory, left_by_limits

GIB = 2**30


def test_more_than_any_machine_has_is_known_for_what_it_is() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**46)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling x"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert is_out_of_memory(RuntimeError("could not create a primitive"))  # oneDNN says no more


def test_other_mistakes_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(caught.value)
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_cpu_has_no_more_free_than_the_machine_has() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is not None
    assert 0 < free < psutil.virtual_memory().total


def test_of_other_devices_nobody_knows() -> None:
    assert free_bytes(torch.device("meta")) is None


def group(folder: Path, names: tuple[str, str, str], limit: str, taken: int, idle: int) -> None:
    """A control group as Linux shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    of_limit, of_taken, of_idle = names
    (folder / of_limit).write_text(f"{limit}\n")
    (folder / of_taken).write_text(f"{taken}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{of_idle} {idle}\nslab 7\n")


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def test_the_limits_of_a_group_and_of_those_around_it_count(tmp_path: Path) -> None:
    own, top = tmp_path / "own", tmp_path / "groups"
    own.write_text("0::/user/session\n")
    group(top / "user/session", V2, "max", 2 * GIB, 0)
    group(top / "user", V2, str(8 * GIB), 5 * GIB, GIB)
    assert list(left_by_limits(top, own)) == [4 * GIB]
    group(top / "user/session", V2, str(3 * GIB), 2 * GIB, 0)
    assert sorted(left_by_limits(top, own)) == [GIB, 4 * GIB]


def test_in_a_container_the_limit_is_at_the_top(tmp_path: Path) -> None:
    own, top = tmp_path / "own", tmp_path / "groups"
    own.write_text("5:cpu:/docker/1f\n4:memory:/docker/1f\n0::/\n")
    group(top / "memory", V1, str(2 * GIB), GIB, GIB // 2)
    assert list(left_by_limits(top, own)) == [1.5 * GIB]
    group(top / "memory", V1, str(GIB), 2 * GIB, 0)  # the limit was lowered
    assert list(left_by_limits(top, own)) == [0]


def test_without_limits_there_are_none(tmp_path: Path) -> None:
    assert list(left_by_limits(tmp_path, tmp_path / "nowhere")) == []
    (tmp_path / "own").write_text("0::/\n")
    assert list(left_by_limits(tmp_path, tmp_path / "own")) == []
