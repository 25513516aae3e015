"""Measuring things beside one another, so that what else the machine does hits them alike."""

from __future__ import annotations

import gc
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from attrs import frozen

from frx.cores import cores

MEANINGS = {"≥": float.__ge__, "≤": float.__le__}


@frozen
class Row:
    """How frx compares with a peer: the median of many rounds, and what most of them lie between.

    `aim` is a bound for `ratio`, such as "≥ 5".
    """

    name: str
    peer: str
    ratio: float
    low: float
    high: float
    aim: str

    @property
    def is_met(self) -> bool:
        sign, bound = self.aim.split()
        return MEANINGS[sign](float(self.ratio), float(bound))


@frozen
class Measured:
    """What each candidate took in each round: rounds stand at the same place in every list."""

    values: Mapping[str, list[float]]

    def median(self, candidate: str) -> float:
        return statistics.median(self.values[candidate])

    def times_better(self, name: str, peer: str, aim: str, ours: str = "frx") -> Row:
        """How many times as much as frx the peer took."""
        return self._row(name, peer, peer, ours, aim)

    def share(self, name: str, peer: str, aim: str, ours: str = "frx") -> Row:
        """What share of the peer's frx took."""
        return self._row(name, peer, ours, peer, aim)

    def _row(self, name: str, peer: str, over: str, under: str, aim: str) -> Row:
        pairs = zip(self.values[over], self.values[under], strict=True)
        return spread(name, peer, [upper / lower for upper, lower in pairs], aim)

    def fastest(self, *candidates: str) -> str:
        return min(candidates, key=self.median)


def spread(name: str, peer: str, ratios: list[float], aim: str) -> Row:
    """A row of a ratio that was measured several times; four in five lie from `low` to `high`."""
    ratios = sorted(ratios)
    cut = len(ratios) // 10
    return Row(name, peer, statistics.median(ratios), ratios[cut], ratios[-1 - cut], aim)


def paired(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int = 11, round_s: float = 0.1
) -> Measured:
    """Seconds a call of each candidate, all of them called in turn in each round.

    In a round each is called as often as fits into about `round_s` seconds, at least once.
    """
    times = {name: _calls(call, round_s) for name, call in candidates.items()}
    values: dict[str, list[float]] = {name: [] for name in candidates}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            names = list(candidates)
            names = names[turn % len(names) :] + names[: turn % len(names)]
            if turn // len(names) % 2:
                names.reverse()  # or each would always find the same one's traces in the caches
            for name in names:
                values[name].append(_seconds(candidates[name], times[name]))
    finally:
        gc.enable()
    return Measured(values)


def _calls(call: Callable[[], object], round_s: float) -> int:
    _seconds(call, 1)  # what is set up at the first call is not counted
    once = _seconds(call, 1)
    return max(1, round(round_s / once))


def _seconds(call: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


def alone(function: Callable[..., Any], *given: Any) -> Any:
    """What a function of a module gives in a fresh process, which has loaded nothing else."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, given)


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # what `resource` says there begins with the most that its parent had
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    unit = 1 if platform.system() == "Darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def machine() -> str:
    """The machine, in a line."""
    import psutil
    import torch

    found = torch.cpu.get_capabilities()
    bf16 = [name for name in ("amx_bf16", "avx512_bf16") if found.get(name)]
    parts = [
        f"{cores()} cores of {_processor()}" + (f" ({', '.join(bf16)})" if bf16 else ""),
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        f"Python {platform.python_version()}",
        f"torch {torch.__version__}",
    ]
    if torch.cuda.is_available():
        parts.insert(1, torch.cuda.get_device_name())
    return ", ".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
