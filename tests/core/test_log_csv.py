"""The log as a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import experiment
from frx.hooks.csv import table
from frx.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 16
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "unet"
width = 4

[[stages]]
name = "first of two"
epochs = 2
batch_size = 4
losses = [{ use = "l1" }]

[[stages]]
name = "second"
epochs = 1
batch_size = 8
losses = [{ use = "mse" }, { use = "l1", weight = 0.5 }]

[[metrics]]
use = "psnr"

[[hooks]]
use = "csv"
every_s = 0
"""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_every_line_of_the_log_is_a_row_and_every_value_a_column(
    recipe: Recipe, tmp_path: Path
) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    lines, rows = log_of(tmp_path / "run"), rows_of(tmp_path / "run/log.csv")
    assert len(rows) == len(lines) == 6
    assert list(rows[0]) == ["kind", "stage", "step", "epoch", "l1", "loss", "psnr whole", "mse"]
    for row, line in zip(rows, lines, strict=True):
        texts = {key: row[key] for key in ("kind", "stage")}
        assert texts == {key: line[key] for key in texts}
        numbers = {key: float(text) for key, text in row.items() if text and key not in texts}
        assert numbers == {key: value for key, value in line.items() if key not in texts}
        assert all(row[key] == "" for key in row.keys() - line.keys())


def test_after_a_break_it_is_the_table_of_the_whole_run(
    recipe: Recipe, tmp_path: Path, stop_after: Any
) -> None:
    experiment.run(recipe, tmp_path / "whole", CPU)
    stop_after(recipe, tmp_path / "broken", 6)
    assert len(rows_of(tmp_path / "broken/log.csv")) == 2
    with (tmp_path / "broken/log.jsonl").open("a") as file:  # what a kill left unfinished
        file.write('{"kind": "tra')
    experiment.run(recipe, tmp_path / "broken", CPU)
    whole, broken = (tmp_path / name / "log.csv" for name in ("whole", "broken"))
    assert broken.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("value", "cell"),
    [(1e-7, "1e-07"), (0.1, "0.1"), (float("nan"), ""), (float("inf"), "inf"), ("a,b", '"a,b"')],
)
def test_a_cell_is_a_number_that_a_spreadsheet_reads_or_empty(value: object, cell: str) -> None:
    assert table([{"step": 1}, {"step": 2, "x": value}]) == f"step,x\r\n1,\r\n2,{cell}\r\n"
