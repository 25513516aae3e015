"""How much memory a network needs for a picture, found out without computing anything."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from frx.build import wants

# What allocators hold back, as measured on a CPU; a GPU's library also takes room to work in.
HELD_BACK, HELD_BACK_BYTES = 1.25, 32 * 2**20

CONVOLUTIONS = frozenset({torch.conv2d, torch.conv_transpose2d})
# Autocast computes these in 16 bits, and those in 32 on some devices.
PRODUCTS = frozenset(
    {
        *(F.linear, torch.matmul, torch.bmm, torch.baddbmm, torch.mm, torch.addmm, torch.einsum),
        *(Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__, Tensor.bmm, Tensor.mm),
    }
)
IN_16_BITS = (
    CONVOLUTIONS | PRODUCTS | {F.scaled_dot_product_attention, F.multi_head_attention_forward}
)
IN_32_BITS = frozenset({F.layer_norm, F.group_norm, F.softmax, torch.softmax, Tensor.softmax})
# These make copies of what does not lie in memory as its shape says.
PUTS_IN_ORDER = PRODUCTS | {F.instance_norm, F.layer_norm}


@torch.no_grad()
def peak_bytes(
    module: nn.Module, batch_shape: tuple[int, int], *, with_mask: bool, bf16: bool
) -> int | None:
    """Memory in bytes that a network takes at most, beside its weights, for one picture.

    `batch_shape` is the height and width in pixels; `with_mask` says that a mask goes in, too. The
    network runs on torch's meta device, which knows the shapes and layouts of all results, but no
    numbers. What is alive at the same time is added up, with copies that torch's functions are
    known to make inside. Measured on a CPU, the true peak is 0.6 to 1.25 times as high.

    None where the network cannot be run so: it decides by numbers, or names a device.
    """
    for emulated in (True, False) if bf16 else (False,):
        try:
            alive = _alive_at_most(module, *batch_shape, with_mask, emulated)
        except Exception:  # someone's network may raise anything
            continue  # as if in 32 bits: too much rather than too little
        return round(HELD_BACK * alive) + HELD_BACK_BYTES
    return None


def _alive_at_most(module: nn.Module, height: int, width: int, with_mask: bool, bf16: bool) -> int:
    # A copy, for networks that keep what they have once made; without the numbers of its weights.
    weights = {
        id(one): one.detach().to("meta") for one in [*module.parameters(), *module.buffers()]
    }
    copied = copy.deepcopy(module, dict(weights))
    batch = {"degraded": torch.empty(1, height, width, 3, device="meta").permute(0, 3, 1, 2)}
    if with_mask and wants(module, "mask"):
        batch["mask"] = torch.empty(1, 1, height, width, device="meta")
    living = _Living([*weights.values(), *batch.values()], bf16)
    with torch.device("meta"), living:
        copied(**batch)
    return living.peak


class _Living(TorchFunctionMode):
    """Adds up what is alive of all that torch's functions return, in bytes, each storage once."""

    def __init__(self, given: Iterable[Tensor], bf16: bool) -> None:
        super().__init__()
        self.bf16 = bf16
        self.given = {id(tensor): tensor for tensor in given}
        self.cast: dict[int, Tensor] = {}  # of what is given; autocast keeps weights so
        self.known = weakref.WeakSet(tensor.untyped_storage() for tensor in self.given.values())
        self.now = self.peak = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.bf16 and func in IN_16_BITS:
            args, kwargs = self._as(torch.bfloat16, args), self._as(torch.bfloat16, kwargs)
        elif self.bf16 and func in IN_32_BITS:
            args, kwargs = self._as(torch.float32, args), self._as(torch.float32, kwargs)
        result = func(*args, **kwargs)
        if func in CONVOLUTIONS and _is_channels_last(args[1]):  # the meta device looks at x only
            result = result.contiguous(memory_format=torch.channels_last)
        for tensor in _tensors(result):
            self._count(tensor)
        self.peak = max(self.peak, self.now + _inside(func, args, kwargs, result))
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self.known:
            self.known.add(storage)
            self.now += storage.nbytes()
            weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, size: int) -> None:
        self.now -= size

    def _as(self, dtype: torch.dtype, value: Any) -> Any:
        """`value` with all floating-point tensors in it cast."""
        if isinstance(value, list | tuple):
            return type(value)(self._as(dtype, one) for one in value)
        if isinstance(value, dict):
            return {name: self._as(dtype, one) for name, one in value.items()}
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == dtype:
            return value
        if id(value) in self.cast:
            return self.cast[id(value)]
        cast = value.to(dtype)
        self._count(cast)
        if id(value) in self.given:
            self.cast[id(value)] = cast
        return cast


def _inside(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    """What a function needs beside its result and gives back at its end, in bytes."""
    if func in CONVOLUTIONS:  # weights in an order of their own, and x in the order of weights
        x, weight = args[:2]
        in_order = not _is_channels_last(weight) or _is_channels_last(x)
        return int(weight.nbytes + (0 if in_order else x.nbytes))
    if func in PUTS_IN_ORDER:
        return sum(tensor.nbytes for tensor in _tensors(args) if not tensor.is_contiguous())
    if func is F.max_pool2d:
        return 8 * int(result.numel())  # where each maximum was
    if func is F.scaled_dot_product_attention:
        query, key, value = args[:3]
        # With one size for all, torch has kernels that never hold all scores.
        fused = query.shape[-1] == key.shape[-1] == value.shape[-1]
        return 0 if fused else 2 * 4 * int(query.shape[:-1].numel() * key.shape[-2])
    if func is F.multi_head_attention_forward and kwargs.get("need_weights", True):
        (queries, *batch, _), keys, heads = args[0].shape, args[1].shape[0], args[4]
        return 2 * 4 * int(queries * keys * heads * (batch[0] if batch else 1))
    return 0


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)
