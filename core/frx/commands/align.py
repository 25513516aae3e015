"""`frx align`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

_SHOWN = 5


@click.command("align", epilog="Example:  frx align photos/ -o faces/ --size 256")
@click.argument("input", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the aligned faces and align.csv.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 4096),
    default=256,
    show_default=True,
    help="Height and width of a face, in pixels.",
)
@click.option(
    "--crop",
    type=click.Choice(["five-point", "box"]),
    default="five-point",
    show_default=True,
    help="Turn and scale to FFHQ's place for eyes, nose and mouth, or cut out the face's box.",
)
@click.option(
    "--padding",
    type=click.FloatRange(0, 3),
    default=0.3,
    show_default=True,
    help="With --crop box: margin on each side, as a fraction of the box.",
)
def command(input: Path, out: Path, size: int, crop: str, padding: float) -> None:
    """Cut out faces, upright and centred, as data sets have them.

    INPUT is a folder or a picture; of each picture the largest face is taken, and written to OUT as
    PNG under the same name. Where no face is found it is the central square instead; such pictures
    are counted and named, and OUT/align.csv lists what was found in each.
    """
    from frx.align import align_folder
    from frx.errors import DataError
    from frx.progress import track

    report = align_folder(
        input,
        out,
        size=size,
        crop="box" if crop == "box" else "five_point",
        padding=padding,
        progress=lambda paths: track(paths, label="align", unit="images"),
    )
    click.echo(f"aligned faces: {report.found}")
    click.echo(f"no face found, central square taken: {len(report.fallbacks)}")
    for name in _first(report.fallbacks):
        click.echo(f"  {name}")
    click.echo(f"list of all: {out / 'align.csv'}")
    if report.failed:
        reasons = "; ".join(_first([reason for _, reason in report.failed]))
        raise DataError(f"not aligned: {len(report.failed)} of the pictures ({reasons})")


def _first(names: Sequence[str]) -> list[str]:
    rest = len(names) - _SHOWN
    return [*names[:_SHOWN], f"and {rest} more"] if rest > 0 else list(names)
