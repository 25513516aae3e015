"""`frx fetch`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import click


@click.command("fetch", epilog="Examples:  frx fetch edgeface_xs   frx fetch timm/resnet34")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--url", help="Another address: a mirror, or a file that frx does not know.")
@click.option("--sha256", help="The SHA-256 that the file must have.")
def command(names: tuple[str, ...], url: str | None, sha256: str | None) -> None:
    """Download known weights, verified, into the cache.

    Without a NAME, list those frx knows. A download that broke off goes on where it stopped, and a
    file is used only if its SHA-256 is the published one. timm/NAME is any trained network of timm,
    such as timm/resnet34 or timm/resnet34.a1_in1k. A file that frx does not know is fetched with
    --url under a NAME of your own. Nothing else in frx touches the network; with FRX_OFFLINE=1 this
    does not either.
    """
    from frx import weights

    if not names:
        if url or sha256:
            raise click.UsageError("--url and --sha256 need the NAME that the file is to have")
        _list()
        return
    if len(names) > 1 and (url or sha256):
        raise click.UsageError("--url and --sha256 are for one NAME at a time")
    for name in names:
        fetched = weights.fetch(
            name,
            url=url,
            sha256=sha256,
            progress=partial(_show, name),
        )
        verdict = {
            "published": "its SHA-256 is the published one",
            "given": "its SHA-256 is the given one",
            "nothing": f"there was no SHA-256 to compare with; from now on it has to be "
            f"{fetched.sha256}",
        }[fetched.compared_with]
        click.echo(f"{name} {'is now' if fetched.new else 'was already'} in {fetched.path}")
        click.echo(f"  {verdict}")


def _show(name: str, chunks: Iterable[bytes], total: int | None) -> Iterable[bytes]:
    from frx.progress import track

    return track(chunks, total=total, label=name, unit="MB")


def _list() -> None:
    from frx import weights

    folder = weights.weights_folder()
    for known in weights.KNOWN.values():
        here = "in the cache" if (folder / known.file).is_file() else "not in the cache"
        click.echo(f"{known.name:<22}{known.size:>9}   {here}")
        click.echo(f"    {known.what}; {known.licence}")
    click.echo("timm/NAME")
    click.echo("    any trained network of timm, by its name; the hub tells its SHA-256")
    for path in sorted(folder.glob("timm-*")):
        if path.suffix in (".safetensors", ".pth"):
            size = f"{path.stat().st_size / 1e6:.0f} MB"
            click.echo(f"{weights.TIMM}{path.stem.removeprefix('timm-')}   {size}   in the cache")
    click.echo(f"The cache is {folder}")
