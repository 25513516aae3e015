"""`frx compare`."""

from __future__ import annotations

from pathlib import Path

import click

from frx.commands.recipe_options import device_option


@click.command(
    "compare", epilog="Example:  frx compare runs/unet_faces runs/hifacegan --metric psnr -o faces/"
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN…", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "--split",
    "set_name",
    metavar="NAME",
    help="Which of the runs' sets.  [default: test, or the only one that all have]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Which metrics; repeatable, the first orders the faces.  [default: all that all have]",
)
@click.option(
    "--evaluation",
    metavar="NAME",
    help="Compare what `frx evaluate` wrote to RUN/evaluations/NAME, not the runs' own scores.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="compare",
    show_default=True,
    help="Where compare.html, compare.md, compare.csv and differences.csv go.",
)
@click.option(
    "--pictures",
    type=click.IntRange(min=0),
    default=6,
    show_default=True,
    metavar="N",
    help="How many faces compare.html shows of each kind, lost and won.",
)
@device_option
def command(
    runs: tuple[Path, ...],
    set_name: str | None,
    metrics: tuple[str, ...],
    evaluation: str | None,
    out: Path,
    pictures: int,
    device: str,
) -> None:
    """Compare runs over the same images, with significance.

    Prints the mean of every metric, and for every two runs the interval of their difference and
    whether it is significant, which few images seldom show. The damaged input, and the baselines
    that all runs were scored beside, are rows of the table too.

    compare.html has this, and below it the faces on which the best run loses most to the last, then
    those on which it wins most: damaged, as each run restores it, and clean. Of a single run it
    shows the worst and the best faces.

    The runs must have scored the same images with the same damage. Where their recipes differ in
    that, `frx evaluate` scores each on a set of your choice, which --evaluation then reads.
    """
    from frx.comparing import page as compare_report
    from frx.comparing.comparison import compare
    from frx.errors import FrxError

    comparison = compare(runs, set_name, metrics, evaluation)
    compare_report.print_comparison(comparison)
    sections, missing = [], None
    if pictures:
        from frx.comparing.faces import sections as restored_faces
        from frx.precision import choose_device

        chosen = choose_device(device)
        try:
            sections = restored_faces(comparison, pictures, chosen)
        except FrxError as error:
            missing = str(error)
            click.echo(f"no pictures: {missing}", err=True)
    compare_report.write(out, comparison, sections, missing)
    click.echo(f"{', '.join(compare_report.FILES)} are in {out}")
