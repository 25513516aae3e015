"""`frx degrade`."""

from __future__ import annotations

import json
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
    set "paired" reads; all are PNG, as the losses of JPEG would be one more damage.

    Where a damage of the recipe has named alternatives (one_of with names), each picture gets a
    copy of every kind: corrupted/NAME_KIND.png beside clean/NAME.png.
    """
    from frx.degrading import chains, degrade
    from frx.errors import DataError
    from frx.recipe import DATA_KINDS, load

    loaded = load(find_recipe(recipe), profiles=profiles, overrides=overrides, kinds=DATA_KINDS)
    failed = degrade(source, out, loaded)
    click.echo(f"written to {out}")
    if kinds := [kind for kind in chains(loaded) if kind]:
        click.echo(f'"paired" reads it with suffixes = {json.dumps(kinds, ensure_ascii=False)}')
    if failed:
        lines = "\n".join(f"  {reason}" for reason in failed.values())
        raise DataError(f"{len(failed)} could not be damaged:\n{lines}")
