"""Snapshots: the same files as safetensors writes, of tensors of all kinds."""

import json

import pytest
import safetensors.torch
import torch
from torch import Tensor

from frx.snapshot import DTYPES, PAGE, Layout, Memory

ODD = {
    "number": torch.tensor(3.5),
    "empty": torch.empty(0, 4),
    "channels_last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "transposed": torch.rand(3, 5).T,
    "every second": torch.arange(20)[::2],
    "expanded": torch.rand(1, 3).expand(4, 3),
    "negative": torch.rand(3, dtype=torch.complex64).conj().imag,
    "three bytes": torch.tensor([1, 2, 3], dtype=torch.uint8),
    'a/b é "quoted"': torch.ones(2),
}


def taken(tensors: dict[str, Tensor], text: str = "{}") -> bytes:
    layout = Layout.of(tensors, text)
    (pages,) = Memory().take([layout])
    assert len(pages) % PAGE == 0
    return bytes(pages[: layout.size])


def assert_same(read: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        raw, expected = (one.contiguous().resolve_neg() for one in (read[name], tensor))
        assert raw.flatten().view(torch.uint8).tolist() == (
            expected.flatten().view(torch.uint8).tolist()
        )


def test_odd_tensors_are_read_by_safetensors_as_they_were() -> None:
    assert_same(safetensors.torch.load(taken(ODD)), ODD)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_kind_of_number_comes_through(dtype: torch.dtype) -> None:
    numbers = {"odd": torch.tensor([1, 0, 1], dtype=torch.uint8), "n": torch.arange(5).to(dtype)}
    assert_same(safetensors.torch.load(taken(numbers)), numbers)


def test_the_text_is_in_the_header() -> None:
    raw = taken({"w": torch.ones(2)}, text='{"epoch": 3, "who": "Ünal"}')
    size = int.from_bytes(raw[:8], "little")
    assert json.loads(raw[8 : 8 + size])["__metadata__"]["state"] == '{"epoch": 3, "who": "Ünal"}'


def test_no_tensors_are_a_file_too() -> None:
    assert safetensors.torch.load(taken({})) == {}


def test_snapshots_of_one_save_lie_side_by_side() -> None:
    many = [{"w": torch.full((count,), count)} for count in (5, 5000, 50)]
    layouts = [Layout.of(tensors, "{}") for tensors in many]
    snapshots = Memory().take(layouts)
    for tensors, layout, pages in zip(many, layouts, snapshots, strict=True):
        assert_same(safetensors.torch.load(bytes(pages[: layout.size])), tensors)


@pytest.mark.parametrize(
    "tensor", [torch.eye(2).to_sparse(), torch.zeros(2, dtype=torch.complex128)]
)
def test_what_the_format_does_not_have_is_refused(tensor: Tensor) -> None:
    with pytest.raises(TypeError, match=r"/hooks/x: a tensor of .* cannot be kept"):
        Layout.of({"/hooks/x": tensor}, "{}")
