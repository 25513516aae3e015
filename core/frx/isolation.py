"""Importing code of others without letting it speak for everyone."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, cast


@contextmanager
def undisturbed() -> Iterator[list[str]]:
    """Keep what is imported inside from printing and from changing all warnings and logs.

    Gives a list that is filled, at the end, with what was kept from happening.
    """
    noticed: list[str] = []
    root = logging.getLogger()
    logs = (root.level, logging.root.manager.disable, list(root.handlers))
    before, after = list(warnings.filters), list(warnings.filters)
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(printed):
            try:
                yield noticed
            finally:
                after = list(warnings.filters)
    finally:
        if printed.tell():
            noticed.append(f"printed {printed.tell():,} characters while it was imported")
        added = [entry for entry in after if entry not in before]
        cast(list[Any], warnings.filters)[:0] = [entry for entry in added if not _for_all(entry)]
        if any(map(_for_all, added)) or any(entry not in after for entry in before):
            noticed.append("changed how warnings of all packages are treated; that was undone")
        if logs != (root.level, logging.root.manager.disable, list(root.handlers)):
            root.setLevel(logs[0])
            logging.disable(logs[1])
            root.handlers[:] = logs[2]
            noticed.append("changed how logs of all packages are treated; that was undone")


def _for_all(entry: Any) -> bool:
    """Whether a filter stands for every warning of every module."""
    _, message, category, module, line = entry
    return message is None and module is None and category is Warning and line == 0
