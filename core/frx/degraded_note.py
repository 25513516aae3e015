"""The note in a damaged set of what it was made from, so that nothing else is mixed into it."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

import frx
from frx import files
from frx.datasets.folder import Folder
from frx.errors import DataError
from frx.images import shown
from frx.recipe import Recipe

NAME = "degraded.json"


@define(eq=False)
class Note:
    """What makes the bytes of a set; with it, for people, names and numbers.

    `left_out` are pictures that could not be damaged: they may be mended or go. `has_masks` is
    whether all copies have masks, or none; None before the set is finished.
    """

    path: Path
    folder: Folder
    recipe: Recipe
    names: Sequence[str]
    splits: Sequence[str]
    left_out: set[str] = field(factory=set)
    has_masks: bool | None = None
    _sizes: list[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sizes = [_size(os.path.join(self.folder.path, name)) for name in self.names]

    def begin(self) -> None:
        """Write the note, or go on with one that says the same.

        Raises:
            DataError: it is damaged, or says something else; says what.
        """
        if not self.path.exists():
            self.write()
            return
        try:
            before = json.loads(self.path.read_bytes())
            # Notes from before there was a choice do not say how the pictures were decoded.
            made_of = {"decoding": "full", **before["made_of"]}
            self.has_masks = before["has_masks"]
            self.left_out = set(before["left_out"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{shown(self.path)} is damaged; choose another folder with -o"
            ) from error
        now = json.loads(json.dumps(self._made_of()))
        for key in now:
            if made_of.get(key) != now[key]:
                said = self._said(key, made_of.get(key), now[key])
                raise DataError(
                    f"{shown(self.path.parent)} was begun {said}; choose another folder with -o"
                )
        self.left_out &= set(self.names)

    def write(self) -> None:
        """Write what is known by now."""
        counts = Counter(self.splits)
        table = {
            "frx": frx.__version__,
            "recipe": self.recipe.name,
            "source": Path(self.folder.path).absolute().name,
            "pictures": {name or "all": count for name, count in sorted(counts.items())},
            "made_of": self._made_of(),
            "left_out": sorted(self.left_out),
            "has_masks": self.has_masks,
        }
        text = json.dumps(table, indent=2) + "\n"
        if not self.path.exists() or self.path.read_text() != text:
            files.write(self.path, text)

    def _made_of(self) -> dict[str, Any]:
        kept = [n for n, name in enumerate(self.names) if name not in self.left_out]
        return {
            "seed": self.recipe.seed,
            "size": self.folder.size,
            "crop": self.folder.crop,
            "decoding": self.folder.decoding,
            "degradations": self.recipe.table()["degradations"],
            "names_and_sizes": _digest(f"{self.names[n]}\0{self._sizes[n]}" for n in kept),
            "splits": _digest(f"{self.names[n]}\0{self.splits[n]}" for n in kept),
        }

    def _said(self, key: str, before: Any, now: Any) -> str:
        if key == "names_and_sizes":
            return f"with other pictures than {shown(self.folder.path)} has now"
        if key == "splits":
            return "with its pictures dealt out to splits otherwise (--splits and [data])"
        return f"with {_difference(key, before, now)}"


def _difference(key: str, before: Any, now: Any) -> str:
    """Say the first value in which two tables differ."""
    if isinstance(before, dict) and isinstance(now, dict) and before.get("use") == now.get("use"):
        inner = next(name for name in {**before, **now} if before.get(name) != now.get(name))
        return _difference(f"{key}.{inner}", before.get(inner), now.get(inner))
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        number = next(n for n, (a, b) in enumerate(zip(before, now, strict=True)) if a != b)
        if isinstance(before[number], dict):
            use = before[number].get("use", number)
            return _difference(f"{key}.{use}", before[number], now[number])
    return f"{key} = {_brief(before)}, which is {_brief(now)} now"


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "use" in value:
        return str(value["use"])
    if isinstance(value, list):
        return f"[{', '.join(_brief(item) for item in value)}]"
    return "not set" if value is None else json.dumps(value)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1  # refused by name when it is read


def _digest(lines: Iterable[str]) -> str:
    text = "\n".join(lines).encode(errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=16).hexdigest()
