"""`python -m benchmarks`: frx beside its peers."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator

import attrs
import click
from rich.table import Table

import benchmarks
from benchmarks.measuring import Row, machine
from frx.progress import say, standard_output, track


def comparisons() -> dict[str, str]:
    """The modules that have a function `rows`, and the first line of each."""
    found = {}
    for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks."):
        if module.name != "benchmarks.__main__":
            loaded = importlib.import_module(module.name)
            if hasattr(loaded, "rows"):
                found[module.name.partition(".")[2]] = (loaded.__doc__ or "").partition("\n")[0]
    return found


def measure(name: str) -> Iterator[Row]:
    """The rows of one comparison, each as soon as it is measured."""
    yield from importlib.import_module(f"benchmarks.{name}").rows()


@click.command(epilog="Examples:  python -m benchmarks   python -m benchmarks losses --json")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@click.option("--list", "lists", is_flag=True, help="Say which comparisons there are.")
def main(names: tuple[str, ...], as_json: bool, lists: bool) -> None:
    """Measure frx beside its peers on this machine; all comparisons, or those named.

    Each ratio is the median of rounds in which all candidates ran one after the other; four rounds
    in five lie between its low and its high. Leave the machine alone meanwhile.
    """
    known = comparisons()
    if lists:
        for name, summary in known.items():
            click.echo(f"{name:16} {summary}")
        return
    for name in names:
        if name not in known:
            raise click.UsageError(f"no comparison {name!r} (there are {', '.join(known)})")
    say(machine())
    found: list[Row] = []
    for name in names or known:
        try:
            found += track(measure(name), label=name, unit="rows")
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{name}: {error.name} is not installed; pip install -e '.[benchmarks]' has all "
                "that frx is measured beside"
            ) from error
    if as_json:
        click.echo(json.dumps([attrs.asdict(row) for row in found], indent=2))
    else:
        standard_output().print(_table(found))
    sys.exit(0 if all(row.is_met for row in found) else 1)


def _table(rows: list[Row]) -> Table:
    table = Table("what", "beside", "ratio", "from", "to", "aim", "")
    for row in rows:
        numbers = (f"{value:.3g}" for value in (row.ratio, row.low, row.high))
        table.add_row(row.name, row.peer, *numbers, row.aim, "" if row.is_met else "missed")
    return table


if __name__ == "__main__":
    main()
