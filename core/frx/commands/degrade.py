"""`frx degrade`."""

from __future__ import annotations

from pathlib import Path

import click

from frx.commands.recipe_options import find_recipe, recipe_options


@click.command(
    "degrade", epilog="Example:  frx degrade photos/ -o damaged/ --recipe recipes/unet_faces.toml"
)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option("--recipe", required=True, help="The recipe whose damage and size are taken.")
@recipe_options
def command(
    source: Path, out: Path, recipe: str, profiles: tuple[str, ...], overrides: tuple[str, ...]
) -> None:
    """Write clean, corrupted and mask pictures of INPUT, the same bits every time.

    The damage is that of the recipe's validation and test. Folder and file names are what the data
    set "paired" reads.
    """
    from frx.degrading import degrade
    from frx.errors import DataError
    from frx.recipe import DATA_KINDS, load

    loaded = load(find_recipe(recipe), profiles=profiles, overrides=overrides, kinds=DATA_KINDS)
    failed = degrade(source, out, loaded)
    click.echo(f"written to {out}")
    if failed:
        lines = "\n".join(f"  {reason}" for reason in failed.values())
        raise DataError(f"{len(failed)} could not be damaged:\n{lines}")
