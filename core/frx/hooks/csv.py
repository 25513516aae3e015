"""The log as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from annotated_types import Ge
from attrs import define, field

from frx import files
from frx.hooks.log import LOG
from frx.run import Run
from frx.specs import hookimpl

TABLE = "log.csv"


@define(eq=False, kw_only=True)
class Csv:
    """Losses and scores of a run as a table, `log.csv`.

    It has a row for each line of the run's log and a column for each of their values, empty where a
    line has none, and where it is no number. It is written from the log, anew each time: after an
    epoch, at most every `every_s` seconds, and at the end of each stage.
    """

    only_watches: ClassVar[bool] = True
    every_s: Annotated[float, Ge(0)] = 30.0
    _written_at: float = field(factory=time.monotonic, init=False)

    @hookimpl
    def frx_epoch_end(self, run: Run) -> None:
        """Write, if the table is old enough."""
        if time.monotonic() - self._written_at >= self.every_s:
            self._write(run)

    @hookimpl
    def frx_stage_end(self, run: Run) -> None:
        """Write."""
        self._write(run)

    def _write(self, run: Run) -> None:
        lines = (run.folder / LOG).read_text(encoding="utf-8").splitlines()
        files.write(run.folder / TABLE, table(map(json.loads, lines)))
        self._written_at = time.monotonic()


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as comma-separated values, with a heading for each key that some row has."""
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value
