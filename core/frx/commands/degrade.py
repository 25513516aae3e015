"""`frx degrade`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from frx.commands.recipe_options import recipe_options

EXAMPLES = """\
\b
Examples:
  frx degrade photos/ -o damaged/ --recipe recipes/unet_faces.toml
\b
  A training set from a flat folder, set/{train,val}/{clean,corrupted,mask}/NAME.png:
  frx degrade faces/ -o set/ --recipe recipes/inpaint_gan.toml --splits \\
      --set 'data.split=[0.999,0.001,0]'
\b
  To train on it:
  frx run recipes/inpaint_gan.toml --set data.use=paired --set data.path=set/ \\
      --set 'degradations=[]'
"""


@click.command("degrade", epilog=EXAMPLES)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option("--recipe", required=True, help="The recipe whose damage and size are taken.")
@click.option(
    "--splits",
    "by_splits",
    is_flag=True,
    help="Deal the pictures out to train, val and test by the recipe's data.split, split_seed and "
    "groups_file; folders train, val, test in INPUT stay as they are.",
)
@recipe_options
def command(
    source: Path,
    out: Path,
    recipe: str,
    by_splits: bool,
    profiles: tuple[str, ...],
    overrides: tuple[str, ...],
) -> None:
    """Write clean, corrupted and mask pictures of INPUT, the same bits every time.

    The damage is that of the recipe's validation and test. Folder and file names are what the data
    set "paired" reads; all are PNG, as the losses of JPEG would be one more damage.

    The same command again goes on where one was stopped or killed, and tries again what could not
    be damaged. Another recipe, or other pictures, want another output folder.

    Where a damage of the recipe has named alternatives (one_of with names), each picture gets a
    copy of every kind: corrupted/NAME_KIND.png beside clean/NAME.png.
    """
    from frx.degrading import degrade
    from frx.errors import DataError
    from frx.recipe import DATA_KINDS, load
    from frx.recipe_files import find

    loaded = load(find(recipe), profiles=profiles, overrides=overrides, kinds=DATA_KINDS)
    done = degrade(source, out, loaded, by_splits=by_splits)
    count = sum(done.splits.values())
    if done.made or done.failed:
        parts = ", ".join(f"{name} {n:,}" for name, n in sorted(done.splits.items()) if name)
        click.echo(f"written to {out}" + (f": {parts}" if parts else ""))
    else:
        click.echo(f"{out} is finished: all {count:,} pictures are there")
    if kinds := [kind for kind in done.kinds if kind]:
        click.echo(f'"paired" reads it with suffixes = {json.dumps(kinds, ensure_ascii=False)}')
    if done.failed:
        lines = "\n".join(f"  {reason}" for reason in done.failed.values())
        raise DataError(f"{len(done.failed)} could not be damaged:\n{lines}")
