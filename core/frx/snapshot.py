"""Snapshots: tensors laid out in memory as safetensors files are, ready to be written."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from attrs import define, frozen
from torch import Tensor

from frx.errors import ResourceError

PAGE = mmap.PAGESIZE
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
# A number is infinite, or none, that has all these bits of so many.
NOT_FINITE: dict[str, np.unsignedinteger[Any]] = {
    "F64": np.uint64(0x7FF0_0000_0000_0000),
    "F32": np.uint32(0x7F80_0000),
    "C64": np.uint32(0x7F80_0000),
    "F16": np.uint16(0x7C00),
    "BF16": np.uint16(0x7F80),
    "F8_E5M2": np.uint8(0x7C),
    "F8_E4M3": np.uint8(0x7F),
}
ALIGNMENT = 16  # of the first tensor: that of the largest numbers
LOOKED_AT_ONCE = 2**16  # numbers: as many as stay in a processor's cache


@frozen
class Layout:
    """A safetensors file: its header, and where each tensor begins.

    The format: a number of eight bytes, so many bytes of JSON, the tensors without gaps.
    """

    header: bytes
    starts: list[tuple[int, Tensor]]
    size: int

    @classmethod
    def of(cls, tensors: dict[str, Tensor], text: str) -> Layout:
        """That of `tensors`; `text` is the metadata "state".

        Raises:
            TypeError: a tensor is of a kind that the format does not have.
        """
        described: dict[str, object] = {"__metadata__": {"state": text}}
        starts, end = [], 0
        # The largest numbers first, so that all of them are aligned.
        for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
            if tensor.dtype not in DTYPES or tensor.layout is not torch.strided:
                kind = str(tensor.dtype).removeprefix("torch.")
                raise TypeError(
                    f"{name}: a tensor of {kind}, {tensor.layout}, cannot be kept in a checkpoint"
                )
            start, end = end, end + tensor.numel() * tensor.itemsize
            starts.append((start, tensor))
            described[name] = {
                "dtype": DTYPES[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [start, end],
            }
        raw = json.dumps(described).encode()
        raw += b" " * (-(8 + len(raw)) % ALIGNMENT)
        header = len(raw).to_bytes(8, "little") + raw
        return cls(header, [(len(header) + s, t) for s, t in starts], len(header) + end)

    def fill(self, memory_N: Tensor) -> None:
        """Put header and tensors into bytes; from a GPU they are there once it is synchronised."""
        memory_N[: len(self.header)] = torch.frombuffer(bytearray(self.header), dtype=torch.uint8)
        for start, tensor in self.starts:
            end = start + tensor.numel() * tensor.itemsize
            room = memory_N[start:end].view(tensor.dtype).view(tensor.shape)
            room.copy_(tensor, non_blocking=tensor.is_cuda)


def not_finite(pages: memoryview) -> Iterator[str]:
    """The tensors, in a file's bytes, with a number which is not finite, by name.

    Not so single numbers that hooks keep: "the best so far" may well begin as infinite. It takes
    0.3 s for a thousand million numbers.
    """
    begin = 8 + int.from_bytes(pages[:8], "little")
    for name, described in json.loads(bytes(pages[8:begin])).items():
        bits = NOT_FINITE.get(described.get("dtype"))
        if bits is None:
            continue
        start, end = (begin + offset for offset in described["data_offsets"])
        numbers = np.frombuffer(pages[start:end], bits.dtype)
        begins = range(0, len(numbers), LOOKED_AT_ONCE)
        pieces = (numbers[at : at + LOOKED_AT_ONCE] for at in begins)
        if len(numbers) == 1 and name.startswith("/hooks/"):
            continue
        if any(((piece & bits) == bits).any() for piece in pieces):
            yield name


@define(eq=False)
class Memory:
    """Memory for snapshots, kept from one to the next: new memory takes far longer to fill."""

    _bytes_N: Tensor | None = None

    def take(self, layouts: list[Layout]) -> list[memoryview]:
        """Snapshots, each from the beginning of a page to the end of one.

        What was taken before is written over.

        Raises:
            ResourceError: there is not so much memory.
        """
        sizes = [-(-layout.size // PAGE) * PAGE for layout in layouts]
        on_gpu = any(tensor.is_cuda for layout in layouts for _, tensor in layout.starts)
        if self._bytes_N is None or len(self._bytes_N) < sum(sizes):
            self._bytes_N = None  # never two at once
            self._bytes_N = _pages(sum(sizes), pinned=on_gpu)
        begin, snapshots = 0, []
        for layout, size in zip(layouts, sizes, strict=True):
            part_N = self._bytes_N[begin : begin + size]
            layout.fill(part_N)
            snapshots.append(part_N.numpy().data)
            begin += size
        if on_gpu:
            torch.cuda.synchronize()
        return snapshots


def _pages(size: int, *, pinned: bool) -> Tensor:
    try:
        if pinned:
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)
        # Shared, so that a process that loads data, forked meanwhile, does not get a copy.
        return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
    except (OSError, OverflowError, MemoryError, RuntimeError) as error:
        gib = size / 2**30
        raise ResourceError(f"{gib:.1f} GiB of memory for a checkpoint cannot be had") from error
