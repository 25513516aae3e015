"""The JSON Schemas of a recipe's tables: of its classes, and of components.

A component's table is checked in two steps. The first has the options of all components of its
kind, for editors to complete from, and refuses none. Then, by what `use` says, the table has to be
one of that component. So an editor reports a mistake where it is.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
from attrs import Factory, define

from frx import recipe
from frx.annotation_texts import type_text
from frx.schema.annotations import Schema, Types, any_of, offered, table_of
from frx.schema.components import NOTHING, Installed, naming
from frx.schema.keys import KEYS
from frx.specs import COMPONENT_KINDS

OPEN: Schema = {"additionalProperties": True}  # as ever, but Tombi assumes otherwise
TEXT: Schema = {"type": "string"}
LACKS_USE: Schema = {"type": "object", "not": {"required": ["use"]} | OPEN} | OPEN


@define
class Tables:
    """Definitions of tables, each made when it is first asked for; others refer to it.

    `besides` is what a key of a class is held to besides its type.
    """

    installed: Mapping[str, list[Installed]]
    besides: Mapping[tuple[type, str], Schema]
    definitions: dict[str, Schema] = Factory(dict)
    _names: dict[Any, str] = Factory(dict)

    def table(self, of: Any, whole: bool) -> Schema:
        """A reference to the schema of a kind of component, or of an attrs class."""
        make: Callable[[], Schema]
        if isinstance(of, str):
            make = partial(self._component, of, None, whole)
        elif kinds := [table_of(f.type) for f in attrs.fields(of) if f.metadata.get("flat")]:
            make = partial(self._component, kinds[0], of, whole)
        else:
            make = partial(self._class, of, whole)
        return self._defined((of, whole), _name(of, whole), make)

    def by_name(self, of: Any) -> Schema:
        """A reference to the schema of a table that patches a list of these."""
        return self._defined((of, "by name"), f"by_name.{_name(of)}", partial(self._by_name, of))

    def _defined(self, key: Any, name: str, make: Callable[[], Schema]) -> Schema:
        if key not in self._names:
            name = re.sub(r"[^A-Za-z0-9_.]", "_", name)
            while name in self.definitions:
                name += "_"
            self._names[key] = name
            self.definitions[name] = {}  # a table may hold tables of its own kind
            self.definitions[name] = make()
        return {"$ref": f"#/definitions/{self._names[key]}"}

    def _typed(self, annotation: Any, whole: bool) -> Schema:
        return Types(self.table, self.by_name).of(annotation, whole=whole)

    # Classes ------------------------------------------------------------------------------------

    def _class(self, of: Any, whole: bool) -> Schema:
        return {"description": _summary(of)} | _table(*self._keys(of, whole))

    def _keys(self, of: Any, whole: bool) -> tuple[dict[str, Schema], list[str]]:
        """The keys that a class has itself, and those that have to be given."""
        hints = typing.get_type_hints(of, include_extras=True)
        texts = KEYS.get(of, {})
        properties, required = {}, []
        for key in attrs.fields(of):
            if key.metadata.get("flat") or not key.init:
                continue
            default = recipe.STAGE_DEFAULTS.get(key.name) if of is recipe.Stage else None
            if default is None and key.default is attrs.NOTHING:
                required.append(key.name)
            schema = self._typed(hints[key.name], whole)
            text = texts.get(key.name) or type_text(hints[key.name])
            properties[key.name] = _described(schema, text, default or _made(key.default))
            properties[key.name] |= self.besides.get((of, key.name), {})
        return properties, required if whole else []

    # Components ---------------------------------------------------------------------------------

    def _component(self, kind: str, class_: Any, whole: bool) -> Schema:
        """Of a component of a kind; its options stand beside the keys that a class has itself."""
        keys, required = self._keys(class_, whole) if class_ else ({}, [])
        # One that cannot do without an option which such a key hides can never be used.
        choices = [c for c in self.installed[kind] if not keys.keys() & c.required]
        plain = [c for c in choices if not c.required and not _needs_name(c, class_)]
        use = self._naming("use", kind, class_, choices)
        alone = self._naming("alone", kind, class_, plain)
        tables = [self._choice(choice, class_, whole) for choice in choices]
        variants = self._variants(choices, tables, {"use", *keys})
        shown = {option: self._shown(option, each) for option, each in variants.items()}
        properties = {"use": use, **keys, **shown}
        by_use: Schema = {
            "if": {"type": "object", "properties": {"use": TEXT}, "required": ["use"]} | OPEN,
            "then": {
                "allOf": [
                    {"if": choice.condition, "then": table, "else": {"type": "object"} | OPEN}
                    for choice, table in zip(choices, tables, strict=True)
                ]
            },
        }
        if not whole:
            of_any = {o: any_of(place for place, _ in each) for o, each in variants.items()}
            unnamed = _table(dict.fromkeys(keys, True) | of_any, [])
            by_use["else"] = {"if": LACKS_USE, "then": unnamed}
            place = self.table(class_ or kind, True)["$ref"]
            properties |= {option: {"$ref": f"{place}/properties/{option}"} for option in shown}
        return {
            "description": _summary(class_ or kind),
            "type": ["object", "string"],
            "properties": properties,
            "required": ["use", *required] if whole else [],
            **offered([alone]),
            "if": TEXT,
            "then": alone,
            "else": by_use,
        } | OPEN

    def _choice(self, choice: Installed, class_: Any, whole: bool) -> Schema:
        """A reference to the table of one component."""
        name = f"{_name(class_ or choice.component.kind, whole)}.{choice.name}"
        make = partial(self._options, choice, class_, whole)
        return self._defined((choice, class_, whole), name, make)

    def _options(self, choice: Installed, class_: Any, whole: bool) -> Schema:
        keys = self._keys(class_, whole)[0] if class_ else {}
        properties: dict[str, Any] = dict.fromkeys(["use", *keys], True)
        for option, parameter in choice.options.items():
            if option not in properties:
                schema = self._typed(parameter.annotation, whole)
                default = _plain(choice.defaults[option])
                properties[option] = _described(schema, choice.about(option), default)
        required = choice.required
        if _needs_name(choice, class_):
            required = [*required, "name"]
            properties["name"] = {"minLength": 1}
        if not whole:  # what is the same is not said again
            whole_table = self._choice(choice, class_, True)
            for option, schema in self._at(whole_table)["properties"].items():
                if schema is not True and schema == properties[option]:
                    properties[option] = {"$ref": f"{whole_table['$ref']}/properties/{option}"}
        table = _table(properties, required if whole else [])
        return {"description": choice.component.summary} | table

    def _naming(self, what: str, kind: str, class_: Any, choices: list[Installed]) -> Schema:
        name = f"{what}.{_name(class_ or kind)}"
        return self._defined((what, kind, class_), name, partial(naming, choices))

    def _variants(
        self, choices: list[Installed], tables: list[Schema], keys: set[str]
    ) -> dict[str, list[tuple[Schema, list[Installed]]]]:
        """By option: references to its different schemas, each with the components that have it."""
        found: dict[str, dict[str, tuple[Schema, list[Installed]]]] = {}
        for choice, table in zip(choices, tables, strict=True):
            for option, schema in self._at(table)["properties"].items():
                if option not in keys:
                    here = {"$ref": f"{table['$ref']}/properties/{option}"}
                    place = schema if "$ref" in schema else here
                    bare = {k: v for k, v in self._at(place).items() if k != "description"}
                    same = found.setdefault(option, {}).setdefault(json.dumps(bare), (place, []))
                    same[1].append(choice)
        return {option: list(different.values()) for option, different in sorted(found.items())}

    def _shown(self, option: str, variants: list[tuple[Schema, list[Installed]]]) -> Schema:
        """An option as it is shown before it is known which component is used."""
        shown: list[Schema] = []
        for place, owners in variants:
            schema = self._at(place)
            if "if" in schema:  # it has offers itself
                shown += [each for each in schema["anyOf"] if each is not True]
            elif len(owners) == 1:
                shown.append(place)
            else:
                names = ", ".join(owner.name for owner in owners)
                shown.append(_described(schema, f"{names}: {owners[0].type_text(option)}."))
        names = ", ".join(owner.name for _, owners in variants for owner in owners)
        return {"description": f"An option of {names}."} | offered(shown)

    def _at(self, reference: Schema) -> Schema:
        steps = reference["$ref"].removeprefix("#/definitions/").split("/")
        found: Any = self.definitions
        for step in steps:
            found = found[step]
        return dict(found)

    # Lists --------------------------------------------------------------------------------------

    def _by_name(self, of: Any) -> Schema:
        """A list's elements by name or number, or new ones.

        An element is called by an option or key `name`, else by what it uses. Where there is no
        such option, a component's name is one of this component, or adds it.
        """
        element = self.table(of, False)
        text = "Elements of the list by their names, to change them or to add one."
        found: Schema = {"description": text, "type": "object", "additionalProperties": element}
        choices = self.installed[of] if isinstance(of, str) else []
        if not choices or any("name" in choice.options for choice in choices):
            return found
        patterns: Schema = {"^[0-9]+$": element}
        for choice in choices:
            table = self._choice(choice, None, False)
            patterns[choice.pattern] = {"if": LACKS_USE, "then": table, "else": element}
        return found | {
            "properties": {c.name: {"description": c.component.summary} | OPEN for c in choices},
            "patternProperties": patterns,
            "additionalProperties": {"required": ["use"], "allOf": [element]},
        }


def _table(properties: Mapping[str, Any], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def _described(schema: Schema, text: str, default: Any = NOTHING) -> Schema:
    """With a description and a default; beside a reference neither would be seen.

    Where there are alternatives Taplo shows what these say, not what is said of all of them.
    """
    said = {"description": text} | ({} if default in (None, NOTHING) else {"default": default})
    if "$ref" in schema:
        return said | {"allOf": [schema]}
    if "anyOf" not in schema:
        return schema | said
    each = [one if one is True or "$ref" in one else one | said for one in schema["anyOf"]]
    return schema | said | {"anyOf": each}


def _needs_name(choice: Installed, class_: Any) -> bool:
    """Whether a recipe has to call a baseline otherwise than its component is called."""
    return class_ is recipe.Compared and not recipe.can_be_label(choice.component.name)


def _made(default: Any) -> Any:
    """The default of an attrs field as plain TOML."""
    made = getattr(default, "factory", None)
    return _plain(made() if made else default)


def _plain(default: Any) -> Any:
    """A default as plain TOML; NOTHING where there is none that can be written."""
    if attrs.has(type(default)):
        default = attrs.asdict(default)
    try:
        return json.loads(json.dumps(default, allow_nan=False))
    except (TypeError, ValueError):
        return NOTHING


def _name(of: Any, whole: bool = True) -> str:
    name = of if isinstance(of, str) else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", of.__name__).lower()
    return name if whole else f"patch.{name}"


def _summary(of: Any) -> str:
    """The first line of what is said about a kind of component or a class."""
    if isinstance(of, str):
        (of,) = (protocol for protocol, kind in COMPONENT_KINDS.items() if kind == of)
    return (inspect.getdoc(of) or "").partition("\n")[0]
