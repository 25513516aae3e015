"""The processes that train a run together, as torchrun starts them. Alone, all of it is void.

Rank 0 writes the run folder and speaks; each takes its share of a batch. What steers training, such
as losses, signals and validations, is made the same in all of them here.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from frx.errors import FrxError, RecipeError, ResourceError
from frx.interruption import Interrupted
from frx.loader import Batch
from frx.progress import console

T = TypeVar("T")
CPU = torch.device("cpu")
GRACE_S = 25.0  # for a last checkpoint, when the launcher is gone


def count() -> int:
    """How many processes train together: 1 where torchrun started none or one."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this one is."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Train together with the other processes that torchrun started; gives this one's device.

    Raises:
        RecipeError: there are more processes than GPUs.
        ResourceError: another process has ended before the run did.
    """
    told = {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()
    if not told or int(os.environ["WORLD_SIZE"]) == 1:
        yield device
        return
    device = _own(device)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    console.quiet = rank() > 0
    try:
        yield device
        gc.collect()  # a network that still refers to the group would outlive it, and Python
        distributed.destroy_process_group()
    except Interrupted as error:
        if rank() > 0:  # rank 0 says it
            sys.exit(error.exit_code)
        raise
    except FrxError as error:
        if rank() > 0:
            error.args = (f"rank {rank()}: {error}",)
        raise
    except RuntimeError as error:
        if not _is_of_a_lost_process(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise ResourceError(
            f"rank {rank()}: another process of the run has ended, and may have said why "
            f"({reason}); the same command goes on from the last checkpoint"
        ) from error


def _own(device: torch.device) -> torch.device:
    """The device of this process among those of its machine."""
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise RecipeError(
            f"--device {device.type}: several processes train on CUDA GPUs or on processors alone; "
            "use --device cpu, or one process"
        )
    local, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= there:
        raise RecipeError(
            f"more processes than GPUs on this machine, which has {there}; use torchrun "
            f"--nproc-per-node {there}"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _end_with(launcher: int) -> None:
    """End in good order once the launcher is gone, which nothing else would tell."""
    while os.getppid() == launcher:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGTERM)


def _is_of_a_lost_process(error: RuntimeError) -> bool:
    said = ("gloo", "Connection closed", "Connection reset", "NCCL")
    return isinstance(error, distributed.DistError) or any(words in str(error) for words in said)


def from_first(value: T) -> T:
    """What `value` is in rank 0; what it is elsewhere does not matter."""
    if count() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0, device=CPU)
    return values[0]


def largest(*numbers: int) -> list[int]:
    """The largest that each of the numbers is anywhere."""
    if count() == 1:
        return list(numbers)
    most = torch.tensor(numbers)
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    return most.tolist()


def gathered(value: T) -> list[T]:
    """What `value` is in each process, by rank."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    distributed.all_gather_object(values, value)
    return values


def summed(values: Tensor) -> Tensor:
    """The sum over all processes."""
    values = values.detach().clone()
    distributed.all_reduce(values)
    return values


def mean(value: Tensor, batch: Batch | None) -> Tensor:
    """Of a mean over this process' images of the batch: that over the images of all."""
    if count() == 1 or batch is None:
        return value
    return summed(value * (batch.size / batch.whole))


def weighted(loss: Tensor, batch: Batch | None) -> Tensor:
    """A mean over this process' images so that the mean over processes is that over all images."""
    if count() == 1 or batch is None:
        return loss
    return loss * (batch.size * count() / batch.whole)


def means(values: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
    """As `mean`, of several named numbers at once."""
    if count() == 1 or not values:
        return values
    stacked = torch.stack([value.float().reshape(()) for value in values.values()])
    return dict(zip(values, mean(stacked, batch).unbind(), strict=True))


def completed(feed: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches that know of the other processes' shares.

    A process whose share is empty gets a picture of another's instead, which counts nothing: each
    has to take part in every step.
    """
    for batch in feed:
        yield batch if count() == 1 else _completed(batch, device)


def _completed(batch: Batch, device: torch.device) -> Batch:
    sizes = torch.zeros(count(), 2, dtype=torch.int64)
    sizes[rank()] = torch.tensor([batch.size, len(batch.bad)])
    images, bad = summed(sizes).unbind(1)
    if bad.any():
        batch.bad = [one for of_rank in gathered(batch.bad) for one in of_rank]
    if images.any() and not images.all():
        source = int(images.argmax())
        one = [{name: value[:1].cpu() for name, value in batch.items()}]
        distributed.broadcast_object_list(one, src=source, device=CPU)
        if not batch.size:
            standing_in = {name: value.to(device) for name, value in one[0].items()}
            batch = Batch(standing_in, [], batch.bad)
    batch.whole = int(images.sum())
    return batch


class _Learning(nn.Module):
    """Stands for a network before DistributedDataParallel, and passes a loss through.

    So it is the loss that gradients are waited for from, however often, and how, the network was
    used to make it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.weights = nn.ParameterList(network.parameters())
        # DistributedDataParallel looks for weights that a loss does not depend on, and warns in
        # every run of a network that has none.
        self.unused = nn.Parameter(torch.zeros(1, device=self.weights[0].device))

    def forward(self, loss: Tensor) -> Tensor:
        return loss


def prepared(network: nn.Module, device: torch.device, *, shard: bool) -> nn.Module | None:
    """Let gradients in a network be averaged over all; gives what its losses have to go through.

    None: with `shard` the network itself sees to it, and each process has a part of it only.
    """
    if shard:
        from frx.sharding import share_out

        share_out(network, device)
        return None
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return DistributedDataParallel(_Learning(network), find_unused_parameters=True)
