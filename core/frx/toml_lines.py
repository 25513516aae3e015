"""TOML that remembers on which line each key stands.

`tomllib` tells no lines. Here a text is cut into statements, the shortest runs of lines that
`tomllib` accepts, and each statement's keys are noted with the line where it begins.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str | int, ...]


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and list element of a valid TOML text."""
    lines: dict[Path, int] = {}
    table: Path = ()
    counts: dict[Path, int] = {}
    pending: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        pending.append(line)
        statement = "\n".join(pending)
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        first = number - len(pending) + 1
        if parsed and statement.lstrip().startswith("["):
            table = _table(parsed, counts)
            for end in range(1, len(table) + 1):
                lines.setdefault(table[:end], first)
        else:
            _note(parsed, table, first, statement, lines)
        pending = []
    return lines


def key_text(path: Path) -> str:
    """`stages[1].losses[0].weight`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _table(header: dict[str, Any], counts: dict[Path, int]) -> Path:
    """The path that a `[table]` or `[[table]]` header opens, list positions filled in."""
    path: Path = ()
    value: Any = header
    while value:
        (name,) = value
        path, value = (*path, name), value[name]
        if isinstance(value, list):  # [[this]]: one element further
            counts[path] = counts.get(path, -1) + 1
            return (*path, counts[path])
        if path in counts:  # [these.…]: inside the latest element
            path = (*path, counts[path])
    return path


def _note(value: Any, path: Path, line: int, text: str, lines: dict[Path, int]) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        here = (*path, key)
        offset = 0
        if isinstance(key, str):  # within a statement of several lines: where the key is written
            found = re.search(rf"(?<![\w-]){re.escape(key)}[\"']?\s*[=.]", text)
            offset = text[: found.start()].count("\n") if found else 0
        lines.setdefault(here, line + offset)
        if isinstance(inner, dict | list):
            _note(inner, here, line, text, lines)
