"""`frx evaluate`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from frx.commands.recipe_options import device_option, mask_threshold_option
from frx.errors import DataError

EXAMPLES = """\
\b
Examples:
  frx evaluate runs/unet_faces --data photos/ --out scores/photos
\b
  Several sets in one table, and classical methods beside the network:
  frx evaluate runs/unet_faces --split test --data old=old_photos/ \\
      --baseline bicubic --baseline '{ use = "non_local_means", strength = 10 }'
"""


@click.command("evaluate", epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "folders",
    multiple=True,
    metavar="[NAME=]FOLDER",
    help="Score on every image of this folder instead of the run's own data, or beside those of "
    "--split; repeatable.",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    help="Which of the run's sets; repeatable.  [default: all but train]",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="NAME|{use=…}",
    help="A classical method to score as well (frx list baseline), beside those of the recipe: its "
    "name or a TOML table with its options; repeatable.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the run's recipe, such as 'degradations=[{use=\"motion_blur\"}]'; repeatable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where scores and pictures go.  [default: RUN/evaluations/NAME]",
)
@mask_threshold_option
@device_option
def command(
    run: Path,
    folders: tuple[str, ...],
    splits: tuple[str, ...],
    baselines: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path | None,
    mask_threshold: float | None,
    device: str,
) -> None:
    """Score the finished run RUN on its sets, or on other folders of clean images.

    Images are damaged as the run's recipe damages its test set, unless --set changes that.

    Writes scores.json, scores.csv and samples/. The table's last column is a 95 % confidence
    interval of the mean gain. A model that replaces a part of each picture has all of them in
    predicted_images/ and reconstructed_images/; one that finds the damage itself has what it found
    in binary_masks/, and its masks are scored over several thresholds.
    """
    from frx.recipe import DATA_KINDS, load

    recipe, others = run / "recipe.toml", {}
    if not os.path.isfile(recipe):
        raise DataError(f"{run}: no run; {recipe} is missing")
    for name, folder in _named(folders).items():
        of_folder = ("data.use=folder", f"data.path={json.dumps(str(folder))}")
        others[name] = load(recipe, overrides=(*overrides, *of_folder), kinds=DATA_KINDS).data
    loaded = load(recipe, overrides=overrides, baselines=baselines)
    from frx import report
    from frx.precision import choose_device
    from frx.scoring.again import score_run

    out = out or run / "evaluations" / ("-".join([*splits, *others]) or "sets")
    scores = score_run(run, loaded, out, choose_device(device), splits, others, mask_threshold)
    report.print_scores(scores)
    click.echo(f"scores and pictures are in {out}")


def _named(folders: tuple[str, ...]) -> dict[str, Path]:
    """Folders by the names of their sets: FOLDER is called as its last part is."""
    named: dict[str, Path] = {}
    for text in folders:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = Path(text).resolve().name, text
        if not name or Path(name).name != name:
            raise click.UsageError(f"--data {text}: expected FOLDER or NAME=FOLDER")
        if name in named:
            raise click.UsageError(
                f"--data {text}: another set is called {name!r}; choose a name: --data NAME=FOLDER"
            )
        named[name] = Path(path)
    return named
