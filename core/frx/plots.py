"""Plots, drawn with matplotlib, without a display."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from frx import files


def draw_curves(log: Path, out: Path) -> None:
    """Draw every loss and metric in a run's `log.jsonl`: a panel each, stages side by side."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    trained, validated = (
        {key for line in lines if line["kind"] == kind for key in line if key not in _NOT_A_VALUE}
        for kind in ("train", "val")
    )
    losses, metrics = trained | {"loss"}, validated - trained - {"loss"}
    if len(trained) == 1 or "loss" not in validated:  # the sum of one term is that term
        losses.remove("loss")
    labels = [*sorted(losses, key=lambda label: (label != "loss", label)), *sorted(metrics)]
    if not labels:
        return
    figure = Figure(figsize=(6.4 * min(len(labels), 2), 3.6 * ((len(labels) + 1) // 2)), dpi=100)
    for number, label in enumerate(labels, start=1):
        panel = figure.add_subplot((len(labels) + 1) // 2, min(len(labels), 2), number)
        _draw_panel(panel, lines, label)
        if label in losses and all(line.get(label, 1) > 0 for line in lines):
            panel.set_yscale("log")
    figure.tight_layout()
    files.write_with(out, lambda path: figure.savefig(path))


_NOT_A_VALUE = {"kind", "stage", "step", "epoch"}


def _draw_panel(panel: Any, lines: list[dict[str, Any]], label: str) -> None:
    for kind, style in (("train", {"linewidth": 1}), ("val", {"marker": "o", "markersize": 3})):
        points = [(line["step"], line[label]) for line in lines if _has(line, kind, label)]
        if points:
            panel.plot(*zip(*points, strict=True), label=kind, **style)
    stages = [line["stage"] for line in lines]
    for number in range(1, len(lines)):
        if stages[number] != stages[number - 1]:
            panel.axvline(lines[number - 1]["step"], color="0.7", linestyle="--")
    panel.set(xlabel="step", title=label)
    panel.grid(alpha=0.3)
    panel.legend()


def _has(line: dict[str, Any], kind: str, label: str) -> bool:
    return line["kind"] == kind and label in line
