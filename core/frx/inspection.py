"""Importing every component of a package in a process of its own, to see what is wrong with it."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from frx.registry import DEBUG_VARIABLE, Component, components

PATIENCE_S = 60.0


def inspected(package: str) -> dict[tuple[str, str], str]:
    """What is wrong with each component of a package, by kind and name; "" for nothing.

    Whatever importing them does (print, exit, crash, hang) happens to a child process.
    """
    ours = [c for c in components() if c.package == package]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.jsonl"
        ended = ""
        try:
            child = subprocess.run(
                [sys.executable, "-m", "frx.inspection", package, str(out)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if os.environ.get(DEBUG_VARIABLE) else subprocess.DEVNULL,
                timeout=PATIENCE_S,
                check=False,
            )
            ended = f"ends the process that imports it, with exit code {child.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"had not been imported after {PATIENCE_S:.0f} s"
        lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    found = {(row["kind"], row["name"]): str(row["problem"]) for row in map(json.loads, lines)}
    for component in ours:
        if (key := (component.kind, component.name)) not in found:
            # What came after the one that ended the process was not looked at.
            found[key], ended = ended, ""
    return found


def _inspect(component: Component) -> str:
    """What is wrong with a component, as far as importing and making it shows."""
    from frx.build import TRIED, Use, default_of, options
    from frx.errors import FrxError
    from frx.lifecycle import build_hooks, plugin_manager

    before = _global_randomness()
    remarks = [component.remark] if component.remark else []
    try:
        factory = component.load(remarks.append)
    except FrxError as error:
        return str(error)
    if _global_randomness() != before:
        remarks.append("draws from or seeds a global random generator when it is imported")
    try:
        needed = [n for n in options(factory) if default_of(factory, n) is inspect.Parameter.empty]
        use = Use(component, {})
        if component.kind == "hook" and not needed:
            plugin_manager(build_hooks([use]))
        elif component.kind in TRIED and not needed:
            use.build()
    except FrxError as error:
        remarks.append(str(error))
    except Exception as error:
        remarks.append(f"cannot be made: {type(error).__name__}: {error}")
    return "; ".join(remarks)


def _global_randomness() -> Any:
    from frx.testing.promises import global_generators

    return global_generators()


def _findings(package: str) -> Iterator[dict[str, str]]:
    for component in components():
        if component.package == package:
            problem = _inspect(component)
            yield {"kind": component.kind, "name": component.name, "problem": problem}


if __name__ == "__main__":
    with suppress(ImportError):  # first, so that no package seems slow for importing it
        importlib.import_module("torch")
    with Path(sys.argv[2]).open("w", encoding="utf-8") as file:
        for finding in _findings(sys.argv[1]):
            file.write(json.dumps(finding) + "\n")
            file.flush()
