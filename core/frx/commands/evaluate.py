"""`frx evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from frx.commands.recipe_options import device_option, mask_threshold_option


@click.command(
    "evaluate", epilog="Example:  frx evaluate runs/unet_faces --data photos/ --out scores/photos"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Score on every image of this folder instead of the run's own data.",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    help="Which of the run's sets; repeatable.  [default: all but train]",
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
    data: Path | None,
    splits: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path | None,
    mask_threshold: float | None,
    device: str,
) -> None:
    """Score the finished run RUN on its sets, or on another folder of clean images.

    Images are damaged as the run's recipe damages its test set, unless --set changes that.

    Writes scores.json, scores.csv and samples/. A model that replaces a part of each picture has
    all of them in predicted_images/ and reconstructed_images/; one that finds the damage itself has
    what it found in binary_masks/, and its masks are scored over several thresholds.
    """
    from frx.recipe import load

    if data is not None:
        if splits:
            raise click.UsageError(
                "--split picks from the run's own data; leave it out with --data"
            )
        overrides = (*overrides, "data.use=folder", f"data.path={json.dumps(str(data))}")
    loaded = load(run / "recipe.toml", overrides=overrides)
    from frx import report
    from frx.precision import choose_device
    from frx.scoring import score_run

    label = data.name if data else "-".join(splits) or "sets"
    folder = out or run / "evaluations" / label
    whole = data.name if data else None
    scores = score_run(run, loaded, folder, choose_device(device), splits, whole, mask_threshold)
    report.print_scores(scores)
    click.echo(f"scores and pictures are in {folder}")
