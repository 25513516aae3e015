"""`frx restore`."""

from __future__ import annotations

from pathlib import Path

import click

from frx.commands.recipe_options import device_option, mask_threshold_option


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
@click.option(
    "--mask",
    metavar="FILE|FOLDER",
    type=click.Path(path_type=Path),
    help="What to fill in, for models that ask for a mask: white in a picture of the photograph's "
    "size, or in a folder with one for each photograph, of the same name but for the suffix.",
)
@mask_threshold_option
@click.option(
    "--found-masks",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Also write what a model found damaged: to look at, or to mend and give back with --mask.",
)
@device_option
def command(
    inputs: tuple[Path, ...],
    out: Path,
    model: Path,
    mask: Path | None,
    mask_threshold: float | None,
    found_masks: Path | None,
    device: str,
) -> None:
    """Restore images, or folders of them, at their own size and under their own names.

    A file that cannot be done is named, the others are done, and the exit code is 3.

    With --mask only what is white is replaced; all else stays as it is, bit for bit, and so JPEG,
    WebP and AVIF are written as PNG. Grey counts as white from 128 (of 255) on, as a soft brush
    leaves it, and what is transparent as black.

    A model that finds the damage itself (dual_decoder_unet) replaces only what it finds, in the
    same way. Where it errs, a lower --mask-threshold replaces more, a higher one less, and --mask
    tells it.
    """
    from frx import restore
    from frx.errors import DataError
    from frx.model_folder import Restorer
    from frx.precision import choose_device

    restorer = Restorer.open(model, choose_device(device), mask_threshold=mask_threshold)
    outcome = restore.restore(inputs, out, restorer, mask, found_masks)
    click.echo(f"restored {len(outcome.done)} into {out}")
    if outcome.unharmed:
        first = ", ".join(str(path) for path in outcome.unharmed[:5])
        more = ", …" if len(outcome.unharmed) > 5 else ""
        click.echo(f"no damage was found in {len(outcome.unharmed)} of them: {first}{more}")
    if outcome.failed:
        lines = "\n".join(f"  {reason}" for reason in outcome.failed.values())
        raise DataError(f"{len(outcome.failed)} could not be restored:\n{lines}")
