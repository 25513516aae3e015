"""`frx list` and `frx --help` beside `import torch`, whole processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.measuring import Row, paired

PEER = "import torch"
COMMANDS = {
    PEER: ["-c", PEER],
    "frx list": ["-m", "frx", "list"],
    "frx --help": ["-m", "frx", "--help"],
}
AIMS = {"frx list": "≤ 0.15", "frx --help": "≤ 0.1"}


def ended(words: list[str]) -> None:
    """Run Python to its end."""
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)


def rows() -> Iterator[Row]:
    measured = paired({name: partial(ended, words) for name, words in COMMANDS.items()})
    for name, aim in AIMS.items():
        yield measured.share(name, PEER, aim, name)
