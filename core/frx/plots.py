"""Plots, drawn with matplotlib, without a display."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from frx import files


def draw_curves(log: Path, out: Path) -> None:
    """Draw every loss in a run's `log.jsonl`: one panel a loss, stages one after another."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    labels = sorted({key for line in lines for key in line if key not in _NOT_A_LOSS})
    if len(labels) == 2 and "loss" in labels:  # the sum of one term is that term
        labels.remove("loss")
    if not labels:
        return
    figure = Figure(figsize=(6.4 * min(len(labels), 2), 3.6 * ((len(labels) + 1) // 2)), dpi=100)
    for number, label in enumerate(labels, start=1):
        panel = figure.add_subplot((len(labels) + 1) // 2, min(len(labels), 2), number)
        _draw_panel(panel, lines, label)
    figure.tight_layout()
    files.write_with(out, lambda path: figure.savefig(path))


_NOT_A_LOSS = {"kind", "stage", "step", "epoch"}


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
    if min((line[label] for line in lines if label in line), default=0) > 0:
        panel.set_yscale("log")
    panel.grid(alpha=0.3)
    panel.legend()


def _has(line: dict[str, Any], kind: str, label: str) -> bool:
    return line["kind"] == kind and label in line
