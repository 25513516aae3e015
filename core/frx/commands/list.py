"""`frx list`."""

from __future__ import annotations

import fnmatch
import json

import click


@click.command("list", epilog='Examples:  frx list   frx list model   frx list loss "*l1*"')
@click.argument("kind", required=False)
@click.argument("pattern", required=False, default="*")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
def command(kind: str | None, pattern: str, as_json: bool) -> None:
    """List installed components, all or of one KIND, by name PATTERN (such as "*unet*").

    Nothing is imported: what each one is stands in its source. A component that cannot work is
    listed with the reason.
    """
    from frx.registry import GROUPS, components, nearest

    plurals = {group.removeprefix("frx."): name for name, group in GROUPS.items()}
    kind = plurals.get(kind or "", kind)
    if kind and kind not in GROUPS:
        raise click.UsageError(f"no kind {kind!r}; {nearest(kind, GROUPS)}")
    found = [
        c
        for c in components()
        if (kind is None or c.kind == kind) and fnmatch.fnmatch(c.name, pattern)
    ]
    if as_json:
        rows = [
            {
                "kind": c.kind,
                "name": c.name,
                "summary": c.summary,
                "package": c.package,
                "version": c.version,
                "problem": c.problem or None,
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
            text = click.style(f"broken: {c.problem}", fg="red") if c.problem else c.summary
            owner = click.style(f"{c.package} {c.version}", dim=True)
            click.echo(f"  {c.name:{width}}  {text}  {owner}")
