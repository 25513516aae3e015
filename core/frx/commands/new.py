"""`frx new`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """\
\b
Examples:  frx new plugin frx-scratches --kind degradation --kind metric
           frx new recipe unet_faces -o mine.toml
"""


@click.group("new", epilog=EXAMPLES)
def command() -> None:
    """Write a plugin package or a commented recipe to begin with."""


@command.command("plugin", epilog="Example:  frx new plugin frx-scratches --kind degradation")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    default=("degradation",),
    show_default=True,
    metavar="KIND",
    help="What to write an example of: one of those that `frx list` has; repeatable.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The folder, which must not be there yet.  [default: frx-NAME]",
)
def plugin(name: str, kinds: tuple[str, ...], out: Path | None) -> None:
    """Write a package of working components.

    Its tests pass, and its recipe trains. NAME is the package's and its first component's, such as
    frx-scratches; every further kind is a component NAME_KIND.
    """
    from frx import files
    from frx.registry import GROUPS, nearest
    from frx.scaffold.plugin import Plugin

    for kind in kinds:
        if kind not in GROUPS:
            raise click.UsageError(f"no kind {kind!r}; {nearest(kind, GROUPS)}")
    made = Plugin.of(name, kinds)
    folder = out or Path(made.distribution)
    _refuse_to_overwrite(folder)
    for path, text in made.files().items():
        files.write(folder / path, text, durable=False)
        click.echo(f"written: {folder / path}")
    profile = f"frx run {made.name} --profile quick"
    _say_next(f"cd {folder}", "pip install -e '.[test]'", "pytest", profile)


@command.command("recipe", epilog="Example:  frx new recipe unet_faces -o mine.toml")
@click.argument("system")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The file, which must not be there yet.  [default: my_SYSTEM.toml]",
)
def recipe(system: str, out: Path | None) -> None:
    """Write a recipe with every setting as a comment.

    It extends SYSTEM, a recipe that comes with frx or with a package, such as unet_faces or
    inpaint_gan, and changes nothing until a comment sign is taken away.
    """
    from frx import files
    from frx.scaffold.recipe import commented

    path = out or Path(f"my_{system.rpartition(':')[2].removesuffix('.toml')}.toml")
    _refuse_to_overwrite(path)
    files.write(path, commented(system, path), durable=False)
    click.echo(f"written: {path}")
    _say_next(f"frx check {path}", f"frx run {path}")


def _refuse_to_overwrite(path: Path) -> None:
    from frx.errors import RecipeError

    if path.exists():
        raise RecipeError(f"{path} is there already and stays as it is; choose another with -o")


def _say_next(*commands: str) -> None:
    click.echo("next:")
    for line in commands:
        click.echo(f"  {line}")
