"""`frx show`."""

from __future__ import annotations

import inspect
from typing import Any

import attrs
import click


@click.command("show", epilog="Example:  frx show degradation gaussian_noise")
@click.argument("kind")
@click.argument("name")
def command(kind: str, name: str) -> None:
    """Show the options of component NAME of a KIND, what it asks for, and its documentation."""
    from frx.annotation_texts import type_text
    from frx.build import default_of, options, run_time_data
    from frx.registry import GROUPS, find, nearest

    if kind not in GROUPS:
        raise click.UsageError(f"no kind {kind!r}; {nearest(kind, GROUPS)}")
    component = find(kind, name)
    factory = component.load()
    click.secho(f"{kind} {component.name}", bold=True, nl=False)
    click.echo(f"  from {component.package} {component.version} ({component.target})\n")
    click.echo(component.documentation or "It has no documentation.")
    click.secho("\noptions", bold=True)
    found = options(factory)
    widest = max(map(len, found), default=0) + 1
    for option, parameter in found.items():
        default = default_of(factory, option)
        value = "required" if default is inspect.Parameter.empty else f"= {_as_written(default)}"
        click.echo(f"  {option:{widest}} {type_text(parameter.annotation)}  {value}")
    if not found:
        click.echo("  none")
    wanted = run_time_data(_called(kind, factory))
    texts = [n if required else f"{n} (if there)" for n, required in wanted.items() if n != "self"]
    click.secho("\nrun-time data it asks for", bold=True)
    click.echo(f"  {', '.join(texts) or 'none'}")


def _called(kind: str, factory: Any) -> Any:
    """The callable whose positional parameters are run-time data."""
    if not inspect.isclass(factory):
        return factory
    if kind == "trainer":
        return factory.__init__
    for name in ("forward", "__call__"):
        if name in vars(factory):
            return vars(factory)[name]
    return lambda: None


def _as_written(default: Any) -> str:
    """A default as a recipe would have it."""
    if attrs.has(type(default)):
        items = (f"{key} = {item!r}" for key, item in attrs.asdict(default).items())
        return f"{{ {', '.join(items)} }}"
    return repr(default)
