"""Find, describe and load components by name, through the entry points of installed packages.

Listing imports nothing, and no package can take it down: what cannot be used is listed with the
reason. Importing a component of another package may neither print nor change how warnings and logs
of all others are treated.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from attrs import frozen

from frx.errors import RecipeError
from frx.isolation import undisturbed
from frx.source import Reading, read
from frx.specs import COMPONENT_KINDS

GROUPS = {  # kind: the entry-point group its components are found in
    kind: f"frx.{kind}es" if kind.endswith("s") else f"frx.{kind}s"
    for kind in sorted(COMPONENT_KINDS.values())
}
OURS = "frx"
DEBUG_VARIABLE = "FRX_PLUGIN_DEBUG"
DISABLE_VARIABLE = "FRX_DISABLE_PLUGINS"
SLOW_S = 10.0
Notice = Callable[[str], None]


@frozen(slots=False)
class Component:
    """One installed component, described without importing it.

    `needs` is the version of frx that its package asks for, such as ">=1,<2"; empty for any.
    """

    kind: str
    name: str
    target: str
    package: str
    version: str
    needs: str = ""

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    @property
    def attribute(self) -> str:
        return self.target.partition(":")[2]

    @property
    def is_ours(self) -> bool:
        """Whether it comes with frx."""
        return same_package(self.package, OURS)

    @property
    def qualified(self) -> str:
        """Its name where there is only one such: `moire` of frx, else `frx-moire:moire`."""
        return self.name if self.is_ours else f"{self.package}:{self.name}"

    @property
    def origin(self) -> str:
        """What it is and where it comes from, to begin a sentence with."""
        return f"plugin {self.name} (a {self.kind} of the package {self.package} {self.version})"

    @cached_property
    def _reading(self) -> Reading:
        return read(self.kind, self.module, self.attribute, self.package)

    @property
    def documentation(self) -> str:
        """The component's docstring."""
        return self._reading.documentation

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.documentation.partition("\n")[0]

    @property
    def problem(self) -> str:
        """Why it cannot be used, as far as its source shows; empty if nothing is wrong."""
        return self._wrong_version or self._reading.problem

    @property
    def remark(self) -> str:
        """What is unwise about it, as far as its source shows; empty if nothing is."""
        return self._reading.remark

    @property
    def _wrong_version(self) -> str:
        if not self.needs:
            return ""
        from packaging.specifiers import SpecifierSet

        import frx

        if SpecifierSet(self.needs).contains(frx.__version__, prereleases=True):
            return ""
        return f"is made for frx {self.needs}, and this is frx {frx.__version__}"

    def load(self, notice: Notice | None = None) -> Any:
        """Import and return the class or function.

        What its import did to everyone, and was kept from, goes to `notice`, or else to stderr.

        Raises:
            RecipeError: it cannot be imported; `FRX_PLUGIN_DEBUG=1` shows its traceback.
        """
        point = EntryPoint(self.name, self.target, GROUPS[self.kind])
        installed = f"the {self.kind} {self.name!r} is installed ({self.package} {self.version})"
        if self._wrong_version:
            raise RecipeError(f"{installed}, but {self._wrong_version}; upgrade one of them")
        try:
            found = point.load() if self.is_ours else self._load_quietly(point, notice)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, or one of its own
            if os.environ.get(DEBUG_VARIABLE):
                traceback.print_exc()
            reason = str(error).strip().partition("\n")[0] or "no message"
            raise RecipeError(
                f"{installed} but cannot be imported: {type(error).__name__}: {reason} "
                f"({DEBUG_VARIABLE}=1 shows the traceback)"
            ) from error
        if not callable(found):
            raise RecipeError(
                f"{installed}, but {self.target} is a {type(found).__name__}; a class or a "
                "function is meant"
            )
        return found

    def _load_quietly(self, point: EntryPoint, notice: Notice | None) -> Any:
        if self.module in sys.modules:
            return point.load()
        started = time.monotonic()
        with undisturbed() as noticed:
            found = point.load()
        if (seconds := time.monotonic() - started) > SLOW_S:
            noticed.append(f"took {seconds:.0f} s to import")
        for remark in noticed:
            (notice or self.complain)(remark)
        return found

    def complain(self, remark: str) -> None:
        """One line on stderr, about what stops nothing."""
        print(f"frx: {self.origin}: {remark}", file=sys.stderr, flush=True)


@cache
def components() -> tuple[Component, ...]:
    """Every installed component, by kind and name; with FRX_DISABLE_PLUGINS frx's own alone."""
    found: dict[tuple[str, str, str], Component] = {}
    kinds = {group: kind for kind, group in GROUPS.items()}
    for distribution, points in plugin_packages():
        package, version = distribution.name, distribution.version
        needs = "" if same_package(package, OURS) else _version_of_frx(distribution)
        for point in points:
            if kind := kinds.get(point.group):
                # A package's old metadata can linger beside the new; the first on sys.path counts.
                found.setdefault(
                    (kind, point.name, _normal(package)),
                    Component(kind, point.name, point.value, package, version, needs),
                )
    known = (c for c in found.values() if c.is_ours or not os.environ.get(DISABLE_VARIABLE))
    return tuple(sorted(known, key=lambda c: (c.kind, c.name, c.package)))


@cache
def unreadable_packages() -> tuple[str, ...]:
    """A sentence for each installed package whose entry points cannot be read."""
    sentences = (
        f"package {_called(distribution) or 'without a name'}: its entry points cannot be read "
        f"({type(points).__name__}: {points})"
        for distribution, points in _every_package()
        if isinstance(points, Exception)
    )
    return tuple(dict.fromkeys(sentences))


def plugin_packages() -> Iterator[tuple[Distribution, list[EntryPoint]]]:
    """The packages that say something to frx, with what they say."""
    for distribution, points in _every_package():
        if isinstance(points, Exception):
            continue
        ours = [point for point in points if point.group.startswith(f"{OURS}.")]
        if ours and _called(distribution):
            yield distribution, ours


@cache
def _every_package() -> tuple[tuple[Distribution, Any], ...]:
    """Installed packages with their entry points, or the error of reading them."""

    def points(distribution: Distribution) -> Any:
        try:
            return list(distribution.entry_points)
        except Exception as error:  # half-removed, or written by hand
            return error

    return tuple((distribution, points(distribution)) for distribution in distributions())


def _called(distribution: Distribution) -> str:
    try:
        name = distribution.metadata["Name"]
    except Exception:  # no readable metadata at all
        name = None
    return str(name or "")


def _version_of_frx(distribution: Distribution) -> str:
    """The versions of frx that a package asks for; empty for any."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if same_package(requirement.name, OURS) and requirement.marker is None:
            return str(requirement.specifier)
    return ""


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def same_package(package: str, other: str) -> bool:
    """Whether both names are those of one package, as pip compares them."""
    return _normal(package) == _normal(other)


def find(kind: str, name: str) -> Component:
    """The one component called `name`, or `package:name`.

    A name that frx itself has means frx's own: what is installed beside it changes no recipe.

    Raises:
        RecipeError: there is none, or two other packages offer it.
    """
    package, _, short = name.rpartition(":")
    of_kind = [c for c in components() if c.kind == kind]
    offered = [
        c for c in of_kind if c.name == short and (not package or same_package(c.package, package))
    ]
    named = [c for c in offered if c.is_ours] or offered
    if len(named) == 1:
        return named[0]
    if named:
        choices = " or ".join(f'"{c.qualified}"' for c in named)
        raise RecipeError(f"two packages offer the {kind} {short!r}: write {choices}")
    hint = nearest(short, [c.name for c in of_kind])
    elsewhere = [c.kind for c in components() if c.name == short]
    if elsewhere:
        hint = f"it is a {' and a '.join(elsewhere)}"
    if package and not any(same_package(c.package, package) for c in components()):
        hint = f"the package {package} is not installed; pip install {package}"
    if os.environ.get(DISABLE_VARIABLE):
        hint += f" (other packages' components are left out: --no-plugins or {DISABLE_VARIABLE})"
    raise RecipeError(f"no {kind} named {name!r}; {hint}")


def clashes() -> list[str]:
    """A sentence for each name that several packages offer in one kind."""
    by_name: dict[tuple[str, str], list[Component]] = {}
    for component in components():
        by_name.setdefault((component.kind, component.name), []).append(component)
    sentences = []
    for (kind, name), offered in by_name.items():
        others = [c for c in offered if not c.is_ours]
        packages = " and ".join(f"{c.package} {c.version}" for c in others)
        choices = " or ".join(f'"{c.qualified}"' for c in others)
        if len(others) < len(offered) > 1:
            sentences.append(
                f"the {kind} {name!r} is frx's own; that of the package {packages} is {choices}"
            )
        elif len(others) > 1:
            sentences.append(f"the packages {packages} both offer the {kind} {name!r}: {choices}")
    return sentences


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest known one, and all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f'did you mean "{near[0]}"? (has: {", ".join(names)})'
    return f"has: {', '.join(names) or 'none'}"
