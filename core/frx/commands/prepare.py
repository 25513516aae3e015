"""`frx prepare`."""

from __future__ import annotations

from pathlib import Path

import click


def _counts(
    ctx: click.Context, option: click.Parameter, value: str | None
) -> dict[str, int] | None:
    if value is None:
        return None
    try:
        pairs = [part.split("=") for part in value.split(",")]
        return {name.strip(): int(count) for name, count in pairs}
    except ValueError:
        raise click.BadParameter("expected NAME=COUNT,…, such as train=10000,valid=500") from None


def _fractions(ctx: click.Context, option: click.Parameter, value: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter("expected three shares, such as 0.8,0.1,0.1") from None


@click.command(
    "prepare", epilog="Example:  frx prepare celeba/ --out data/celeba --groups identity_CelebA.txt"
)
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--split",
    "fractions",
    default="0.8,0.1,0.1",
    show_default=True,
    callback=_fractions,
    help="Shares of train, val and test.",
)
@click.option(
    "--counts",
    metavar="NAME=COUNT,…",
    callback=_counts,
    help="Draw so many for each, none twice, instead of sharing out all.",
)
@click.option("--seed", default=42, show_default=True)
@click.option(
    "--groups",
    type=click.Path(path_type=Path),
    help="Lines NAME ID (or a CSV): pictures of one identity or source stay in one split.",
)
@click.option("--link/--copy", default=True, show_default=True, help="Links take no space.")
def command(
    source: Path,
    out: Path,
    fractions: list[float],
    counts: dict[str, int] | None,
    seed: int,
    groups: Path | None,
    link: bool,
) -> None:
    """Split the pictures of SRC into train, val and test, or draw a sample.

    The data sets "folder" and "paired" take the resulting sub-folders as their splits.
    """
    from frx.prepare import prepare

    made = prepare(
        source,
        out,
        fractions=fractions,
        seed=seed,
        counts=counts,
        groups_file=groups,
        link=link,
    )
    click.echo(f"{out}: " + ", ".join(f"{name} {count}" for name, count in made.items()))
