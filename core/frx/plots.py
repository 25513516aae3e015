"""Plots, drawn with matplotlib, without a display."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frx import files

GRADIENT_NORM = "gradient norm"  # with which the labels begin that a hook of that name logs


def draw_curves(log: Path, out: Path) -> None:
    """Draw all losses, gradient norms and metrics in a run's `log.jsonl`, stages side by side.

    Each has a panel of its own; losses and norms, where all are positive, on a logarithmic scale.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    trained, validated = (
        {key for line in lines if line["kind"] == kind for key in line if key not in _NOT_A_VALUE}
        for kind in ("train", "val")
    )
    norms = {label for label in trained if label.startswith(GRADIENT_NORM)}
    trained -= norms
    losses, metrics = trained | {"loss"}, validated - trained - {"loss"}
    if len(trained) == 1 or "loss" not in validated:  # the sum of one term is that term
        losses.remove("loss")
    labels = sorted(losses, key=lambda label: (label != "loss", label))
    labels += [*sorted(norms), *sorted(metrics)]
    if not labels:
        return
    figure = Figure(figsize=(6.4 * min(len(labels), 2), 3.6 * ((len(labels) + 1) // 2)), dpi=100)
    for number, label in enumerate(labels, start=1):
        panel = figure.add_subplot((len(labels) + 1) // 2, min(len(labels), 2), number)
        _draw_panel(panel, lines, label)
        if label in losses | norms and all(line.get(label, 1) > 0 for line in lines):
            panel.set_yscale("log")
    figure.tight_layout()
    files.write_with(out, lambda path: figure.savefig(path))


def draw_thresholds(found: Mapping[str, Any], out: Path) -> None:
    """Draw the metrics of masks over the threshold, from `scores.json`'s "mask_thresholds"."""
    from matplotlib.figure import Figure

    best = found["best"]
    figure = Figure(figsize=(6.4, 4.0), dpi=100)
    panel = figure.add_subplot()
    for name, curve in found.items():
        if name != "best":
            points = [(float(threshold), value) for threshold, value in curve.items()]
            panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    panel.axvline(
        best["threshold"],
        color="0.7",
        linestyle="--",
        label=f"best by {best['by']}: {best['threshold']:g}",
    )
    panel.set(xlabel="mask threshold", title="masks found, mean over images")
    panel.grid(alpha=0.3)
    panel.legend()
    figure.tight_layout()
    files.write_with(out, lambda path: figure.savefig(path))


_NOT_A_VALUE = {"kind", "stage", "step", "epoch"}
_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": "C0", "linewidth": 1},
    "val": {"color": "C1", "marker": "o", "markersize": 3},
}


def _draw_panel(panel: Any, lines: list[dict[str, Any]], label: str) -> None:
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    for kind, style in _STYLES.items():
        named = kind
        for stage in stages:  # a line each: the same loss may weigh otherwise in the next
            points = [
                (line["step"], line[label])
                for line in lines
                if line["stage"] == stage and line["kind"] == kind and label in line
            ]
            if points:
                panel.plot(*zip(*points, strict=True), label=named, **style)
                named = "_"  # once in the legend
    for stage in stages[:-1]:
        last = max(line["step"] for line in lines if line["stage"] == stage)
        panel.axvline(last, color="0.7", linestyle="--")
    panel.set(xlabel="step", title=label)
    panel.grid(alpha=0.3)
    panel.legend()
