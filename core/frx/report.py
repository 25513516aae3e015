"""What a run says at its end: a table of scores on the terminal, and `report.html`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from rich.table import Table

from frx import files
from frx.pages import embedded, template
from frx.progress import duration, standard_output
from frx.recipe import Recipe
from frx.scoring.scores import REGIONS

INTERVAL = "95 %"


def columns(summary: Mapping[str, Any]) -> list[str]:
    """The headings of numbers in a table of scores: the baselines stand beside the network."""
    return ["input", *summary.get("baselines", ()), "restored", "gain", INTERVAL]


def score_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`scores.json` as rows: set, images, metric, arrow, region, gain if there is one, "cells".

    The cells are texts by `columns`; what there is no number for is empty.
    """
    return [
        {
            "set": name,
            "images": of_set["images"],
            "metric": metric,
            "arrow": "↑" if found["higher_is_better"] else "↓",
            "region": region,
            "gain": found[region].get("gain"),
            "cells": _cells(of_set, metric, region, columns(summary)),
        }
        for name, of_set in summary["sets"].items()
        for metric, found in of_set["metrics"].items()
        for region in REGIONS
        if region in found
    ]


def _cells(
    of_set: Mapping[str, Any], metric: str, region: str, headings: Iterable[str]
) -> dict[str, str]:
    found = of_set["metrics"][metric][region]
    texts = {name: f"{found[name]:.4g}" for name in ("input", "restored") if name in found}
    if "gain" in found:
        texts["gain"] = f"{found['gain']:+.3g}"
    if ends := found.get("interval", {}).get("gain"):
        texts[INTERVAL] = " … ".join(f"{end:+.3g}" for end in ends)
    for name, scores in of_set.get("baselines", {}).items():
        if region in scores.get(metric, {}):
            texts[name] = f"{scores[metric][region]['score']:.4g}"
    return {heading: texts.get(heading, "") for heading in headings}


def not_measured(summary: Mapping[str, Any]) -> list[str]:
    """Why metrics of whole sets have no number, a sentence each."""
    return [
        f"{name}: {metric}: not measured: {found['not_measured']}"
        for name, of_set in summary["sets"].items()
        for metric, found in of_set["metrics"].items()
        if "not_measured" in found
    ]


def print_scores(summary: Mapping[str, Any]) -> None:
    """Print the scores as a table on standard output."""
    table = Table()
    for heading in ("set", "images", "metric", "region"):
        table.add_column(heading)
    for column in columns(summary):
        table.add_column(column, justify="right")
    for row in score_rows(summary):
        gain = row["gain"] or 0
        style = "green" if gain > 0 else "red" if gain < 0 else "default"
        table.add_row(
            row["set"],
            str(row["images"]),
            f"{row['metric']} {row['arrow']}",
            row["region"],
            *(
                f"[{style}]{text}[/]" if heading == "gain" else text
                for heading, text in row["cells"].items()
            ),
        )
    console = standard_output()
    console.print(table)
    for sentence in not_measured(summary):
        console.print(sentence, markup=False)
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
    text = template("frx", "report.html").render(
        recipe=recipe,
        record=record,
        trained=duration(record["seconds"]),
        rows=score_rows(summary),
        protocols={
            metric: found["protocol"]
            for of_set in summary["sets"].values()
            for metric, found in of_set["metrics"].items()
        },
        columns=columns(summary),
        interval=summary["interval"],
        not_measured=not_measured(summary),
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
    return embedded(picture.read_bytes(), "png")
