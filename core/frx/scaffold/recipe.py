"""A recipe to begin with: it extends another one, whose every setting it has as a comment.

Values come from the recipe as it is read, and what they mean from `frx.schema.keys` and from the
components' own documentation.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import Factory, define

from frx import recipe_files
from frx.annotation_texts import type_text
from frx.build import Use, options
from frx.errors import RecipeError
from frx.recipe import Compared, Compute, Data, LossTerm, Recipe, Stage, load
from frx.registry import nearest
from frx.schema.keys import KEYS

WIDTH = 100
RULE = "# " + "-" * (WIDTH - 2)
# Where the components of a stage come: first those that are changed most often.
STAGE_COMPONENTS = ("optimizer", "schedule", "trainer")
OPTIONS = {"lr": "learning rate"}  # what optimisers take for granted
ABOUT = (
    "A line that begins with # and no space is a setting, with the value that it has in {base}: "
    "take the # away to change it. Lists of components are addressed by name, and a name that they "
    "lack is added. Others in their place: [[degradations]] tables at the end, as in any recipe."
)
EDITORS = """\
# Editors that know TOML complete and check these lines once `frx schema -o frx.schema.json` has
# written that file beside this one, and this is the first line here:
#   #:schema frx.schema.json
"""
OWN_PICTURES = """\
# Your own photographs, in place of drawn faces: these two lines (and no more of those below that
# belong to {use}). train/, val/ and test/ in the folder are taken as such.
#   data.use = "folder"
#   data.path = "photos/"
"""


def commented(base: str, out: Path) -> str:
    """The text of a recipe `out`, named after its file, that extends the recipe called `base`.

    Raises:
        RecipeError: there is no such recipe, or a file of this name cannot extend it.
    """
    base = base.removesuffix(".toml")
    path = recipe_files.find(f"{base}.toml", out.parent)
    if not os.path.isfile(path):  # which, unlike Path.is_file, stands any text
        known = [file.stem for _, file in recipe_files.installed()]
        raise RecipeError(f"no recipe {base!r} to begin from; {nearest(base, known)}")
    if out.name == path.name:
        raise RecipeError(f"{out}: called like the recipe that it extends; choose another name")
    if out.suffix != ".toml" or not recipe_files.can_name_a_recipe(out.stem):
        rule = f"NAME being of {recipe_files.RECIPE_NAME}"
        raise RecipeError(f"{out}: recipes are called NAME.toml, {rule}")
    raw = recipe_files.read(path, (), ()).tables
    return Writer(raw, base).text(load(path), out, recipe_files.profile_tables(path))


@define
class Writer:
    """Turns a recipe, and the tables it was read from, into commented lines."""

    raw: dict[str, Any]
    base: str
    _explained: set[Any] = Factory(set)

    def text(self, recipe: Recipe, out: Path, patches: list[tuple[str, dict[str, Any]]]) -> str:
        """The whole file."""
        profiles = list(dict.fromkeys(name for name, _ in patches))
        commands = [(f"frx check {out}", "is it right, and what would it do?")]
        if profiles:
            commands.append((f"frx run {out} --profile {profiles[0]}", "a first look"))
        commands.append((f"frx run {out}", "all of it"))
        width = max(len(command) for command, _ in commands)
        return "\n".join(
            [
                f"# {out.stem} is {self.base} with what is changed here.\n#",
                *(f"#   {command:{width}}    {what}" for command, what in commands),
                "#",
                *_prose(ABOUT.format(base=self.base), further="# "),
                f"#\n{EDITORS}extends = {_toml(f'{self.base}.toml')}\nname = {_toml(out.stem)}\n",
                *self._lines(recipe, patches),
                "",
            ]
        )

    def _lines(self, recipe: Recipe, patches: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
        yield from self._fields(Recipe, recipe, "", ("seed",))
        yield from self._heading("compute")
        yield from self._fields(Compute, recipe.compute, "compute")
        yield from self._heading("data")
        if recipe.data.dataset.name != "folder":
            yield OWN_PICTURES.rstrip().format(use=recipe.data.dataset.name)
        yield from self._data(recipe.data, "data", self.raw.get("data"))
        for name, data in recipe.sets.items():
            key = _dotted("sets", name)
            yield from self._heading("sets", key)
            yield from self._data(data, key, self.raw["sets"][name])
        for key in ("augmentations", "degradations"):
            yield from self._heading(key)
            yield from self._components(getattr(recipe, key), key, self.raw.get(key, []))
        yield from self._heading("model")
        yield from self._component(recipe.model, "model", self.raw.get("model"))
        for number, stage in enumerate(recipe.stages):
            key = _dotted("stages", stage.name)
            text = f"Training {number + 1} of {len(recipe.stages)}."
            yield from self._heading("stages", key, text)
            yield from self._stage(stage, key, self.raw["stages"][number])
        for key in ("metrics", "baselines"):
            yield from self._heading(key)
            table = [_shortened(each) for each in recipe.table()[key]]
            kind = key.removesuffix("s")
            yield from _setting(key, table, f"all there are: frx list {kind}")
        yield from self._heading("hooks")
        yield from self._components(recipe.hooks, "hooks", self.raw.get("hooks", []))
        if patches:
            yield from self._profiles(patches)

    def _heading(self, key: str, called: str = "", text: str = "") -> Iterator[str]:
        yield f"\n# {called or key}: {text or KEYS[Recipe][key]}\n{RULE}"

    def _data(self, data: Data, key: str, raw: Any) -> Iterator[str]:
        yield from self._component(data.dataset, key, raw)
        yield from self._fields(Data, data, key)

    def _stage(self, stage: Stage, key: str, raw: Mapping[str, Any]) -> Iterator[str]:
        yield from self._fields(Stage, stage, key)
        for part in STAGE_COMPONENTS:
            yield from self._component(getattr(stage, part), f"{key}.{part}", raw.get(part))
            for network, use in stage.optimizers.items() if part == "optimizer" else ():
                inner = _dotted(f"{key}.optimizers", network)
                yield from self._component(use, inner, raw["optimizers"][network])
        for number, term in enumerate(stage.losses):
            there = raw["losses"][number]
            inner = _dotted(f"{key}.losses", _address(raw["losses"], number))
            if isinstance(there, dict):
                yield from self._component(term.loss, inner, there, chosen=False)
                yield from self._fields(LossTerm, term, inner)
            else:
                yield from _setting(inner, {"use": there}, "")

    def _fields(self, class_: type, of: Any, key: str, only: tuple[str, ...] = ()) -> Iterator[str]:
        """The plain keys of a table that is no component; `name` is what it is addressed by."""
        unset = []
        for field in attrs.fields(class_):
            value, known = getattr(of, field.name), (class_, field.name) in self._explained
            text = "" if known else KEYS[class_].get(field.name, "")
            if field.name == "name" or (only and field.name not in only):
                continue
            if value is None:
                unset += [] if known else [f"{field.name} ({type_text(field.type)}): {text}"]
            elif not _holds_components(value) and not isinstance(value, dict):
                yield from _setting(f"{key}.{field.name}".lstrip("."), value, text)
            self._explained.add((class_, field.name))
        if unset:
            yield from _prose("Not set here: " + " ".join(unset))

    def _components(self, uses: list[Use], key: str, raw: list[Any]) -> Iterator[str]:
        for number, use in enumerate(uses):
            inner = _dotted(key, _address(raw, number))
            yield from self._component(use, inner, raw[number], chosen=False)

    def _component(self, use: Use, key: str, raw: Any, *, chosen: bool = True) -> Iterator[str]:
        """A component's settings after what its documentation says of them."""
        known = options(use.component.load())
        if use.component not in self._explained:
            self._explained.add(use.component)
            yield from _prose(f"{use.name}: {_said(use.component.documentation, known)}")
        if not isinstance(raw, Mapping):  # written as a name alone, or left to its default
            yield from _setting(key, use.table(), "")
            return
        if chosen:
            kind = use.component.kind
            yield from _setting(f"{key}.use", raw["use"], f"all there are: frx list {kind}")
        for option, parameter in known.items():
            value, inner = use.setting(option), f"{key}.{option}"
            if isinstance(value, Use):
                yield from self._component(value, inner, raw.get(option))
            elif _holds_components(value):
                yield from self._components(value, inner, raw[option])
            elif value is not None:
                text = type_text(parameter.annotation)
                said = OPTIONS.get(option)
                yield from _setting(inner, value, f"{said}; {text}" if said else text)

    def _profiles(self, patches: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
        yield f"\n# profiles: What --profile NAME changes; a new name makes a new one.\n{RULE}"
        merged: dict[str, Any] = {}
        for name, patch in patches:
            merged |= {_dotted("profiles", name, *path): value for path, value in _leaves(patch)}
        for key, value in merged.items():
            yield from _setting(key, value, "")


def _leaves(table: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*at, key))
        else:
            yield (*at, key), value


def _setting(key: str, value: Any, note: str) -> Iterator[str]:
    """A commented line, its note beside it, or above where there is no room."""
    value = attrs.asdict(value) if attrs.has(type(value)) else value
    line = f"#{key} = {_toml(value)}"
    beside = f"{line:<44}  # {note}"
    if note and len(beside) > WIDTH:
        yield from _prose(f"{key.rpartition('.')[2]}: {note}")
    yield beside if note and len(beside) <= WIDTH else line


def _prose(text: str, further: str = "#  ") -> Iterator[str]:
    yield from textwrap.wrap(
        text, WIDTH, initial_indent="# ", subsequent_indent=further, break_on_hyphens=False
    )


def _said(documentation: str, known: Mapping[str, Any]) -> str:
    """A docstring's first line, and the sentences below that name an option."""
    first, _, rest = documentation.partition("\n")
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z`])", " ".join(rest.split()))
    return " ".join([first, *(s for s in sentences if any(f"`{name}`" in s for name in known))])


def _holds_components(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_components, value))
    return isinstance(value, Use | LossTerm | Compared)


def _address(tables: list[Any], number: int) -> str:
    """By what a patch finds an element of a list: its name, what it uses, or its number."""
    keys = [[t.get(key) for t in tables if isinstance(t, dict)] for key in ("name", "use")]
    dicts = [n for n, table in enumerate(tables) if isinstance(table, dict)]
    for label in ("name", "use"):
        key = tables[number].get(label) if isinstance(tables[number], dict) else None
        found = [dicts[each.index(key)] for each in keys if key in each]
        if key is not None and found[0] == number:
            return str(key)
    return str(number)


def _dotted(*parts: str) -> str:
    """A key of a key; a part that is no bare key of TOML is quoted, the first is left as it is."""
    first, *rest = parts
    return ".".join(
        [first, *(p if re.fullmatch(r"[\w-]+", p, re.ASCII) else json.dumps(p) for p in rest)]
    )


def _shortened(table: dict[str, Any]) -> Any:
    """A component's name where it has no option."""
    return table["use"] if len(table) == 1 else table


def _toml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        items = ", ".join(f"{_dotted('', key)[1:]} = {_toml(item)}" for key, item in value.items())
        return f"{{ {items} }}" if items else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
