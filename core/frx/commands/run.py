"""`frx run`."""

from __future__ import annotations

from pathlib import Path

import click

from frx.commands.recipe_options import device_option, recipe_options


@click.command("run", epilog="Example:  frx run recipes/unet_faces.toml --profile quick")
@click.argument("recipe")
@recipe_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The run folder.  [default: runs/NAME, with the profiles' names after it]",
)
@click.option("--fresh", is_flag=True, help="Begin anew; a run that is there is set aside.")
@click.option(
    "--allow-env-change",
    is_flag=True,
    help="Go on with another torch, device or precision, and so with other bytes.",
)
@device_option
def command(
    recipe: str,
    profiles: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path | None,
    fresh: bool,
    allow_env_change: bool,
    device: str,
) -> None:
    """Train, evaluate and report what RECIPE describes.

    The same command again goes on with a run that was stopped, bit for bit. The run folder ends up
    with pictures, scores.json, curves.png, report.html and the trained model.

    On several GPUs:  torchrun --nproc-per-node 4 -m frx run RECIPE
    """
    from frx.recipe import load
    from frx.recipe_files import find

    loaded = load(find(recipe), profiles=profiles, overrides=overrides)
    from frx import experiment, ranks
    from frx.precision import choose_device

    folder = out or Path("runs", "-".join([loaded.name, *profiles]))
    with ranks.joined(choose_device(device)) as own_device:
        experiment.run(loaded, folder, own_device, fresh=fresh, allow_env_change=allow_env_change)
