"""Memory that is freed and needed again."""

import platform
import subprocess
import sys

import pytest

STEPS = """\
import resource
import torch
from frx.allocation import keep_freed_memory

def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.zeros(64 * 2**20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
new = faults(8)
keep_freed_memory()
faults(16)  # small things settle between large ones first
print(new, faults(8))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc for it")
def test_memory_that_was_freed_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    new, kept = map(int, done.stdout.split())
    assert kept < new / 10
