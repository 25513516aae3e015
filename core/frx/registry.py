"""Find, describe and load components by name, through the entry points of installed packages.

Listing imports nothing: what a component is comes from its source, read with `ast`.
"""

from __future__ import annotations

import ast
import difflib
import os
import sys
from collections.abc import Iterable
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from itertools import accumulate
from pathlib import Path
from typing import Any

from attrs import frozen

from frx.errors import RecipeError
from frx.specs import COMPONENT_KINDS

GROUPS = {  # kind: the entry-point group its components are found in
    kind: f"frx.{kind}es" if kind.endswith("s") else f"frx.{kind}s"
    for kind in sorted(COMPONENT_KINDS.values())
}
DEBUG_VARIABLE = "FRX_PLUGIN_DEBUG"


@frozen(slots=False)
class Component:
    """One installed component, described without importing it."""

    kind: str
    name: str
    target: str
    package: str
    version: str

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    @property
    def attribute(self) -> str:
        return self.target.partition(":")[2]

    @cached_property
    def _reading(self) -> tuple[str, str]:
        """Docstring, and what is wrong with the source (empty: nothing that can be seen)."""
        try:
            path = _source(self.module)
            if path is None:
                return "", f"no module {self.module!r}; is the package {self.package} still there?"
            tree = ast.parse(path.read_bytes())
        except SyntaxError as error:
            return "", f"syntax error in {self.module}, line {error.lineno}"
        except Exception as error:  # a finder of another package may fail in any way
            return "", f"{type(error).__name__}: {error}"
        missing = sorted(name for name in _imported_packages(tree) if not _is_installed(name))
        problem = f"needs the package {', '.join(missing)}, not installed" if missing else ""
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == self.attribute:
                return ast.get_docstring(node) or "", problem
        if self.attribute in {name for node in tree.body for name in _assigned(node)}:
            return ast.get_docstring(tree) or "", problem
        return "", problem or f"{self.module} has no {self.attribute!r}"

    @property
    def documentation(self) -> str:
        """The component's docstring."""
        return self._reading[0]

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.documentation.partition("\n")[0]

    @property
    def problem(self) -> str:
        """Why it cannot be used, as far as its source shows; empty if nothing is wrong."""
        return self._reading[1]

    def load(self) -> Any:
        """Import and return the class or function.

        Raises:
            RecipeError: it cannot be imported; `FRX_PLUGIN_DEBUG=1` shows its traceback instead.
        """
        try:
            return EntryPoint(self.name, self.target, GROUPS[self.kind]).load()
        except (Exception, SystemExit) as error:
            if os.environ.get(DEBUG_VARIABLE):
                raise
            reason = str(error).strip().partition("\n")[0] or "no message"
            raise RecipeError(
                f"the {self.kind} {self.name!r} is installed ({self.package} {self.version}) but "
                f"cannot be imported: {type(error).__name__}: {reason} "
                f"({DEBUG_VARIABLE}=1 shows the traceback)"
            ) from error


@cache
def components() -> tuple[Component, ...]:
    """Every installed component, by kind and name."""
    found: dict[tuple[str, str, str], Component] = {}
    for kind, group in GROUPS.items():
        for point in _entry_points().select(group=group):
            package, version = (
                (point.dist.name, point.dist.version) if point.dist else (point.module, "?")
            )
            # A package's old metadata can linger beside the new; the first on sys.path is current.
            key = (kind, point.name, package.lower().replace("_", "-"))
            found.setdefault(key, Component(kind, point.name, point.value, package, version))
    return tuple(sorted(found.values(), key=lambda c: (c.kind, c.name, c.package)))


@cache
def _entry_points() -> Any:
    return entry_points()


def find(kind: str, name: str) -> Component:
    """The one component called `name`, or `package:name` where two packages offer it.

    Raises:
        RecipeError: there is none, or more than one.
    """
    package, _, short = name.rpartition(":")
    of_kind = [c for c in components() if c.kind == kind]
    named = [c for c in of_kind if c.name == short and package in ("", c.package)]
    if len(named) == 1:
        return named[0]
    if named:
        choices = " or ".join(f'"{c.package}:{c.name}"' for c in named)
        raise RecipeError(f"two packages offer the {kind} {short!r}: write {choices}")
    hint = nearest(short, [c.name for c in of_kind])
    elsewhere = [c.kind for c in components() if c.name == short]
    if elsewhere:
        hint = f"it is a {' and a '.join(elsewhere)}"
    raise RecipeError(f"no {kind} named {name!r}; {hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest known one, and all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f'did you mean "{near[0]}"? (has: {", ".join(names)})'
    return f"has: {', '.join(names) or 'none'}"


def _source(module: str) -> Path | None:
    """The file of a module, found without importing its parents as `find_spec` would."""
    where = None
    for name in accumulate(module.split("."), "{}.{}".format):
        spec = _find_spec(name, where)
        if spec is None:
            return None
        where = spec.submodule_search_locations
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


def _find_spec(name: str, where: Any) -> Any:
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for f in finders if (spec := f.find_spec(name, where))), None)


@cache
def _is_installed(package: str) -> bool:
    return package in sys.builtin_module_names or _find_spec(package, None) is not None


def _imported_packages(tree: ast.Module) -> set[str]:
    """Top-level packages that the module imports when it is imported, outside any `try`."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _assigned(node: ast.stmt) -> set[str]:
    """Names that a statement binds by assignment or import."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
