"""`frx list`."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from frx.registry import Component


@click.command("list", epilog='Examples:  frx list   frx list model   frx list loss "*l1*"')
@click.argument("kind", required=False)
@click.argument("pattern", required=False, default="*")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@click.option(
    "--check",
    "imports",
    is_flag=True,
    help="Import the plugins of other packages, each package in a process of its own.",
)
def command(kind: str | None, pattern: str, as_json: bool, imports: bool) -> None:
    """List installed components, all or of one KIND, by name PATTERN (such as "unet*").

    Nothing is imported: what each one is stands in its source. A component that cannot work is
    listed with the reason, which is also said on stderr; what only importing it would show, --check
    finds out.
    """
    from frx.registry import GROUPS, clashes, components, nearest, unreadable_packages

    plurals = {group.removeprefix("frx."): name for name, group in GROUPS.items()}
    kind = plurals.get(kind or "", kind)
    if kind and kind not in GROUPS:
        raise click.UsageError(f"no kind {kind!r}; {nearest(kind, GROUPS)}")
    found = [
        c
        for c in components()
        if (kind is None or c.kind == kind) and fnmatch.fnmatch(c.name, pattern)
    ]
    problems = {c: c.problem for c in found}
    if imports:
        problems |= {c: text for c, text in _imported(found).items() if text}
    for c, text in problems.items():
        if text or c.remark:
            c.complain(text or c.remark)
    for sentence in (*clashes(), *unreadable_packages()):
        click.echo(f"frx: {sentence}", err=True)
    if as_json:
        rows = [
            {
                "kind": c.kind,
                "name": c.name,
                "summary": c.summary,
                "package": c.package,
                "version": c.version,
                "problem": problems[c] or None,
            }
            for c in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    if not found:
        raise click.UsageError(f"no {kind or 'component'} is called like {pattern!r}")
    width = max(len(c.name) for c in found)
    for heading in sorted({c.kind for c in found}):
        click.secho(heading, bold=True)
        for c in (c for c in found if c.kind == heading):
            text = click.style(f"broken: {problems[c]}", fg="red") if problems[c] else c.summary
            owner = click.style(f"{c.package} {c.version}", dim=True)
            click.echo(f"  {c.name:{width}}  {text}  {owner}")


def _imported(found: list[Component]) -> dict[Component, str]:
    """What importing the components of other packages shows to be wrong."""
    from frx.inspection import inspected
    from frx.progress import track

    packages = sorted({c.package for c in found if not c.is_ours})
    wrong = {
        (package, *of): text
        for package in track(packages, label="importing", unit="packages")
        for of, text in inspected(package).items()
    }
    return {c: wrong.get((c.package, c.kind, c.name), "") for c in found}
