"""What a run says at its end: a table of scores on the terminal, and `report.html`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, PackageLoader
from rich.console import Console
from rich.table import Table

from frx import files
from frx.progress import duration
from frx.recipe import Recipe
from frx.scores import REGIONS

COLUMNS = ("input", "restored", "gain")
WIDE = 160


def standard_output() -> Console:
    """Where tables are printed; a file is as wide as they need it to be."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    return console


def score_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`scores.json` as rows: set, images, metric, region, and of `COLUMNS` what there is."""
    return [
        {
            "set": name,
            "images": of_set["images"],
            "metric": metric,
            "arrow": "↑" if found["higher_is_better"] else "↓",
            "region": region,
            **found[region],
        }
        for name, of_set in summary["sets"].items()
        for metric, found in of_set["metrics"].items()
        for region in REGIONS
        if region in found
    ]


def print_scores(summary: Mapping[str, Any]) -> None:
    """Print the scores as a table on standard output."""
    table = Table()
    for heading in ("set", "images", "metric", "region"):
        table.add_column(heading)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in score_rows(summary):
        gain = row.get("gain", 0)
        style = "green" if gain > 0 else "red" if gain < 0 else "default"
        table.add_row(
            row["set"],
            str(row["images"]),
            f"{row['metric']} {row['arrow']}",
            row["region"],
            *(f"{row[column]:.4g}" if column in row else "" for column in COLUMNS[:2]),
            f"[{style}]{gain:+.3g}[/]" if "gain" in row else "",
        )
    console = standard_output()
    console.print(table)
    for name, found in mask_thresholds(summary).items():
        console.print(f"{name}: {best_threshold(found)}")


def mask_thresholds(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By set, what `scores.json` has on the thresholds of masks; none where nothing finds them."""
    return {
        name: of_set["mask_thresholds"]
        for name, of_set in summary["sets"].items()
        if "mask_thresholds" in of_set
    }


def best_threshold(found: Mapping[str, Any]) -> str:
    """Name the best of several thresholds."""
    best, curve = found["best"], found[found["best"]["by"]]
    first, *_, last = curve
    return (
        f"by {best['by']} the best --mask-threshold between {first} and {last} is "
        f"{best['threshold']:g} ({best['value']:.4g})"
    )


def write(
    folder: Path, recipe: Recipe, record: Mapping[str, Any], summary: Mapping[str, Any]
) -> None:
    """Write `report.html`: one file that needs no network, every text escaped."""
    environment = Environment(loader=PackageLoader("frx", "."), autoescape=True)
    pictures = [
        {"name": name, "data": _embedded(folder / "samples" / f"{name}.png")}
        for name in summary["sets"]
        if (folder / "samples" / f"{name}.png").exists()
    ]
    drawn = [
        {
            "name": hook.name,
            "about": hook.component.documentation.replace("`", ""),
            "data": _embedded(latest),
        }
        for hook in recipe.hooks
        if hook.name != "samples"  # of which the sets' own are shown
        and (latest := _latest_picture(folder / hook.name, recipe))
    ]
    curves = folder / "curves.png"
    text = environment.get_template("report.html").render(
        recipe=recipe,
        record=record,
        trained=duration(record["seconds"]),
        rows=score_rows(summary),
        protocols={
            metric: found["protocol"]
            for of_set in summary["sets"].values()
            for metric, found in of_set["metrics"].items()
        },
        columns=COLUMNS,
        pictures=pictures,
        drawn=drawn,
        thresholds=[
            {
                "name": name,
                "best": best_threshold(found),
                "data": _embedded(folder / f"mask_thresholds-{name}.png"),
            }
            for name, found in mask_thresholds(summary).items()
        ],
        curves=_embedded(curves) if curves.exists() else None,
        toml=tomli_w.dumps(recipe.table()),
    )
    files.write(folder / "report.html", text)


def _latest_picture(folder: Path, recipe: Recipe) -> Path | None:
    """What a hook drew last in a folder that has its name, as `STAGE-EPOCH.png`."""
    pictures = (max(folder.glob(f"{stage.name}-*.png"), default=None) for stage in recipe.stages)
    return next((picture for picture in reversed(list(pictures)) if picture), None)


def _embedded(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
