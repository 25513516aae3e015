"""A package of components to begin with: small ones that work, each with its test, and a recipe."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

import frx
from frx.errors import RecipeError
from frx.registry import GROUPS, components

# Kinds whose example is a function; the others are classes.
FUNCTIONS = {"augmentation", "baseline", "degradation", "loss", "optimizer", "schedule"}
TAKEN = {"recipe", "recipes", *keyword.kwlist, *dir(builtins)}
LONGEST = 24  # so that no line of the code becomes too long
LINE = 100


@frozen
class Part:
    """One component of the package: its kind, and its name in recipes and of its file."""

    kind: str
    name: str

    @property
    def attribute(self) -> str:
        """The function or class."""
        if self.kind in FUNCTIONS:
            return self.name
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def group(self) -> str:
        return GROUPS[self.kind]

    @property
    def label(self) -> str:
        """What it is in a sentence: `degradation scratches`."""
        return f"{self.kind.replace('_', ' ')} {self.name}"


@frozen
class Plugin:
    """A package `frx-NAME` with components of some kinds."""

    name: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, name: str, kinds: Sequence[str]) -> Plugin:
        """The package for a name such as "frx-scratches" or "scratches".

        The component of the first kind has that name, each other one its kind after it.

        Raises:
            RecipeError: something cannot be called that, or frx itself has it.
        """
        short = re.sub(r"^frx[-_]", "", name).replace("-", "_")
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", short) or len(short) > LONGEST:
            raise RecipeError(
                f"{name!r} cannot name a package: small letters and digits are wanted, a letter "
                f"first, words joined by -, {LONGEST} at most, such as frx-scratches"
            )
        others = [Part(kind, f"{short}_{kind}") for kind in dict.fromkeys(kinds[1:])]
        plugin = cls(
            short, (Part(kinds[0], short), *(part for part in others if part.kind != kinds[0]))
        )
        plugin._refuse_what_is_taken()
        return plugin

    @property
    def package(self) -> str:
        """What Python calls it."""
        return f"frx_{self.name}"

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return self.package.replace("_", "-")

    def files(self) -> dict[str, str]:
        """The texts of all files, by their path in the package's folder."""
        package, name = self.package, self.name
        code = {f"{package}/{part.name}.py": (f"{part.kind}.py", part) for part in self.parts}
        tests = {f"tests/test_{p.name}.py": (f"test_{p.kind}.py", p) for p in self.parts}
        whole = {
            "pyproject.toml": ("pyproject.toml", None),
            "README.md": ("README.md", None),
            f"{package}/__init__.py": ("init.py", None),
            f"{package}/recipes/{name}.toml": ("recipe.toml", None),
            "tests/test_recipe.py": ("test_recipe.py", None),
        }
        return {
            path: self._written(template, part)
            for path, (template, part) in {**whole, **code, **tests}.items()
        }

    def _written(self, template: str, part: Part | None) -> str:
        environment = Environment(
            loader=PackageLoader("frx.scaffold"),
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=StrictUndefined,
        )
        by_kind: dict[str, str | None] = dict.fromkeys(GROUPS)
        by_kind |= {each.kind: each.name for each in self.parts}
        return environment.get_template(f"{template}.jinja").render(
            **by_kind,
            package=self.package,
            distribution=self.distribution,
            parts=self.parts,
            name=part.name if part else self.name,
            attribute=part.attribute if part else "",
            imported=_import,
            frx=".".join(frx.__version__.split(".")[:2]),
        )

    def _refuse_what_is_taken(self) -> None:
        ours = [component for component in components() if component.is_ours]
        if self.package in {component.module.partition(".")[0] for component in ours}:
            raise RecipeError(f"{self.distribution} is a part of frx itself; choose another name")
        for part in self.parts:
            if any((c.kind, c.name) == (part.kind, part.name) for c in ours):
                raise RecipeError(
                    f"frx has a {part.kind.replace('_', ' ')} {part.name} itself, and in a recipe "
                    "that name means it; choose another one"
                )
            used = {name for file in ("", "test_") for name in self._imports(part, file)}
            if {part.name, part.attribute} & {*TAKEN, *used}:
                raise RecipeError(
                    f"{part.name!r} already means something in Python or in the code to be "
                    "written; choose another name"
                )

    def _imports(self, part: Part, file: str) -> Iterator[str]:
        """The names that a file has from others than the component's own."""
        stand_in = evolve(part, name="something")
        for node in ast.walk(ast.parse(self._written(f"{file}{part.kind}.py", stand_in))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (alias.asname or alias.name for alias in node.names)


def _import(package: str, module: str, name: str) -> str:
    """A line that imports a component, in three where it would be too long."""
    line = f"from {package}.{module} import {name}"
    return line if len(line) <= LINE else f"from {package}.{module} import (\n    {name},\n)"
