"""`frx restore`."""

from __future__ import annotations

from pathlib import Path

import click

from frx.commands.recipe_options import device_option


@click.command(
    "restore", epilog="Example:  frx restore photos/ -o restored/ --model runs/unet_faces"
)
@click.argument(
    "inputs", nargs=-1, required=True, metavar="INPUT…", type=click.Path(path_type=Path)
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    help="A finished run folder, or the model/ folder of one.",
)
@device_option
def command(inputs: tuple[Path, ...], out: Path, model: Path, device: str) -> None:
    """Restore images, or folders of them, at their own size and under their own names.

    A file that cannot be done is named, the others are done, and the exit code is 3.
    """
    from frx import restore
    from frx.errors import DataError
    from frx.model_folder import Restorer
    from frx.precision import choose_device

    outcome = restore.restore(inputs, out, Restorer.open(model, choose_device(device)))
    click.echo(f"restored {len(outcome.done)} into {out}")
    if outcome.failed:
        lines = "\n".join(f"  {reason}" for reason in outcome.failed.values())
        raise DataError(f"{len(outcome.failed)} could not be restored:\n{lines}")
