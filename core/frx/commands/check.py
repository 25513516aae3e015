"""`frx check`."""

from __future__ import annotations

import click

from frx.commands.recipe_options import device_option, recipe_options


@click.command("check", epilog="Example:  frx check recipes/unet_faces.toml --profile quick")
@click.argument("recipe")
@recipe_options
@click.option(
    "--images", is_flag=True, help="Also read every image: name what is damaged, or in two sets."
)
@device_option
def command(
    recipe: str, profiles: tuple[str, ...], overrides: tuple[str, ...], images: bool, device: str
) -> None:
    """Find everything wrong with RECIPE before training it.

    Then show what would happen: stages, data, parameters by block, one forward pass, a memory
    estimate, and settings that never act.
    """
    from frx.recipe import load
    from frx.recipe_files import find

    loaded = load(find(recipe), profiles=profiles, overrides=overrides)
    from frx import check
    from frx.precision import choose_device

    check.check(loaded, choose_device(device), images=images)
