"""The program that measures frx beside its peers: what it says, not how fast anything is."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module `benchmarks.__main__` of this checkout."""
    monkeypatch.syspath_prepend(str(ROOT))
    before = set(sys.modules)
    import benchmarks.__main__ as program

    yield program
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "benchmarks":
            del sys.modules[name]


def test_every_comparison_is_listed_and_documented(program: Any) -> None:
    listed = CliRunner().invoke(program.main, ["--list"])
    assert listed.exit_code == 0, listed.output
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert "losses" in names
    assert all(len(line.split(maxsplit=1)[1]) > 20 for line in listed.stdout.splitlines())
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` ", page, flags=re.MULTILINE))
    assert documented == set(names)


def test_none_of_the_peers_is_needed_to_list_them(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = ("accelerate", "albumentations", "kornia", "piq", "pytorch_lightning", "pytorch_msssim")
    for peer in peers:
        monkeypatch.setitem(sys.modules, peer, None)
    assert CliRunner().invoke(program.main, ["--list"]).exit_code == 0


def test_rows_are_ratios_with_what_they_lie_between(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.measuring import Measured

    seconds = {"frx": [1.0, 2.0, 4.0], "peer": [3.0, 4.0, 20.0]}

    def rows(name: str) -> Iterator[Any]:
        measured = Measured(seconds)
        yield measured.times_better("speed", "peer", "≥ 2.5")
        yield measured.share("memory", "peer", "≤ 0.3")

    monkeypatch.setattr(program, "measure", rows)
    given = CliRunner().invoke(program.main, ["losses", "--json"])
    assert given.exit_code == 1, "an aim that is missed is an exit code"
    assert json.loads(given.stdout) == [
        # rounds are compared with themselves: 3 / 1, 4 / 2 and 20 / 4
        {"name": "speed", "peer": "peer", "ratio": 3, "low": 2, "high": 5, "aim": "≥ 2.5"},
        {
            "name": "memory",
            "peer": "peer",
            "ratio": 1 / 3,
            "low": 0.2,
            "high": 0.5,
            "aim": "≤ 0.3",
        },
    ]


def test_candidates_take_turns(program: Any) -> None:
    from benchmarks.measuring import paired

    order: list[str] = []
    candidates = {name: lambda name=name: order.append(name) for name in "ab"}
    measured = paired(candidates, rounds=3, round_s=0.0)
    assert [len(times) for times in measured.values.values()] == [3, 3]
    assert "".join(order[-6:]) == "abbaba"


def test_a_missing_peer_is_named_with_what_installs_it(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Iterator[Any]:
        raise ModuleNotFoundError("No module named 'kornia'", name="kornia")
        yield

    monkeypatch.setattr(program, "measure", missing)
    given = CliRunner().invoke(program.main, ["losses"])
    assert given.exit_code == 1
    assert "kornia is not installed; pip install -e '.[benchmarks]'" in given.output


def test_an_unknown_comparison_is_refused(program: Any) -> None:
    given = CliRunner().invoke(program.main, ["looses"])
    assert given.exit_code == 2
    assert "no comparison 'looses' (there are " in given.output
