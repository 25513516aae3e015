"""TOML that remembers on which line each key stands, and says what is wrong with a text.

`tomllib` tells the lines of mistakes alone. Here a text is cut into statements, the shortest runs
of lines that `tomllib` accepts, and each statement's keys are noted with the line where it begins.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from frx.errors import RecipeError

Path = tuple[str | int, ...]

DEEPEST = 50
# What else to write, by what `tomllib` objects to.
WAYS_OUT = {
    "Invalid value": 'a text stands in "quotes", truth is true or false',
    "Cannot overwrite a value": "this key is there already",
    "Cannot mutate immutable namespace": "what stands in { } or [ ] is whole",
    "Cannot declare": "this table is there already; [[…]] begins the next one of a list",
    "Expected '=' after a key": "KEY = VALUE is meant",
    "Illegal character '\\n'": "the closing quote is missing",
}


def parsed(text: str, source: str) -> dict[str, Any]:
    """A TOML text as tables.

    Raises:
        RecipeError: it is none; with line, column, what stands there and the way out.
    """
    try:
        found = tomllib.loads(text)
        too_deep = _is_deeper(found, DEEPEST)
    except RecursionError:
        too_deep = True
    except ValueError as error:  # mostly a TOMLDecodeError; not that of a number without end
        reason, _, where = str(error).partition(" (at ")
        hints = (f"; {way}" for begin, way in WAYS_OUT.items() if reason.startswith(begin))
        place, line = _place(where, text) if where else ("", "")
        said = f"not valid TOML: {reason}{line}{next(hints, '')}"
        raise RecipeError(f"{source}{place}: {said}") from error
    if too_deep:
        raise RecipeError(f"{source}: tables and lists more than {DEEPEST} deep")
    return found


def _place(where: str, text: str) -> tuple[str, str]:
    """`:5:8` and `: size = big` for "line 5, column 8)" or "end of document)"."""
    lines = text.rstrip().split("\n")
    number, column = map(int, re.findall(r"\d+", where) or (len(lines), len(lines[-1])))
    line = lines[min(number, len(lines)) - 1].strip()
    return f":{number}:{column}", f": {line[:80]}"


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (not levels or any(_is_deeper(each, levels - 1) for each in inner))


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and list element of a valid TOML text."""
    lines: dict[Path, int] = {}
    table: Path = ()
    counts: dict[Path, int] = {}
    pending: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):  # a line of TOML ends nowhere else
        pending.append(line)
        statement = "\n".join(pending)
        try:
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        first = number - len(pending) + 1
        if found and statement.lstrip().startswith("["):
            table = _table(found, counts)
            for end in range(1, len(table) + 1):
                lines.setdefault(table[:end], first)
        else:
            _note(found, table, first, statement, lines)
        pending = []
    return lines


def key_text(path: Path) -> str:
    """`stages[1].losses[0].weight`; quotes around what is no bare key."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if re.fullmatch(r"[\w-]{1,80}", part) else f'"{part[:80]}"'
        text += f".{key}" if text else key
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
