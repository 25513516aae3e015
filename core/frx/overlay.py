"""A TOML document with patches laid over it, each value with the place where it was written."""

from __future__ import annotations

import copy
from typing import Any

from attrs import Factory, define

from frx.registry import nearest
from frx.strict import Mistake
from frx.toml_lines import Path


class Table(dict[str, Any]):
    """A table in which another component was chosen after some keys had been written.

    `inherited` names those keys: the new component takes the ones it has, and no other.
    """

    inherited: frozenset[str] = frozenset()


@define
class Document:
    """Tables, where each key was written (`x.toml:12`, `--set a=1`), and patches that missed."""

    tables: Table
    places: dict[Path, str]
    mistakes: list[Mistake] = Factory(list)

    @classmethod
    def of(cls, tables: dict[str, Any], places: dict[Path, str]) -> Document:
        return cls(_own(tables), dict(places))

    def place(self, path: Path) -> str | None:
        """Where a key was written; for one that was not, where the table around it begins."""
        return _nearest_place(path, self.places)

    def lay(self, patch: dict[str, Any], patch_at: Path, source: dict[Path, str]) -> None:
        """Lay a patch over the document; its keys stand below `patch_at` in `source`."""
        self._lay(self.tables, patch, (), patch_at, source)

    def _lay(
        self, target: Any, patch: dict[str, Any], at: Path, patch_at: Path, source: dict[Path, str]
    ) -> None:
        if isinstance(target, Table) and patch.get("use", target.get("use")) != target.get("use"):
            target.inherited = frozenset(target) - {"use"}
        for key, value in patch.items():
            there = (*patch_at, key)
            place = (
                self._element(target, key, at, there, source) if isinstance(target, list) else key
            )
            if place is None:
                continue
            here = (*at, place)
            current = target.get(place) if isinstance(target, dict) else target[int(place)]
            if isinstance(value, dict) and isinstance(current, str):  # a component without options
                current = target[place] = Table(use=current)
            if isinstance(value, dict) and isinstance(current, dict | list):
                self._lay(current, value, here, there, source)
                continue
            target[place] = _own(value)
            if isinstance(target, Table):
                target.inherited -= {key}
            for stale in [path for path in self.places if path[: len(here)] == here]:
                del self.places[stale]
            self._note(value, here, there, source)

    def _element(
        self, tables: list[Any], key: str, at: Path, there: Path, source: dict[Path, str]
    ) -> int | None:
        """The element called `key`: by its name, by what it uses, by its number, or a new one."""
        for label in ("name", "use"):
            for number, table in enumerate(tables):
                named = Table(use=table) if isinstance(table, str) else table
                if isinstance(named, dict) and named.get(label) == key:
                    return number
        if key.isdigit() and int(key) < len(tables):
            return int(key)
        if at == ("stages",):
            names = [table.get("name", "?") for table in tables if isinstance(table, dict)]
            self.mistakes.append(Mistake((*at, key), f"no such stage; {nearest(key, names)}"))
            self._note(None, (*at, key), there, source)
            return None
        tables.append(Table(use=key))
        self._note(tables[-1], (*at, len(tables) - 1), there, source)
        return len(tables) - 1

    def _note(self, value: Any, here: Path, there: Path, source: dict[Path, str]) -> None:
        """Note that `here` holds what was written at `there`."""
        self.places[here] = _nearest_place(there, source) or "?"
        if isinstance(value, dict | list):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                self._note(inner, (*here, key), (*there, key), source)


def _own(value: Any) -> Any:
    """A deep copy, its tables able to remember what they inherited."""
    if isinstance(value, dict):
        return Table({key: _own(item) for key, item in value.items()})
    return [_own(item) for item in value] if isinstance(value, list) else copy.copy(value)


def _nearest_place(path: Path, places: dict[Path, str]) -> str | None:
    ends = range(len(path), -1, -1)
    return next((places[path[:end]] for end in ends if path[:end] in places), None)
