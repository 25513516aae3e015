"""What the schema has to know of the components installed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from frx.annotation_texts import type_text
from frx.build import default_of, options
from frx.errors import RecipeError
from frx.registry import Component, components, find
from frx.schema.annotations import Schema, offered
from frx.specs import COMPONENT_KINDS

NOTHING = inspect.Parameter.empty
Complain = Callable[[str], None]


@frozen(eq=False)
class Installed:
    """A component that can be used, its options with their defaults, and which texts mean it."""

    component: Component
    options: Mapping[str, inspect.Parameter]
    defaults: Mapping[str, Any]
    alone: bool  # its name means it without its package

    @property
    def name(self) -> str:
        """How a recipe calls it."""
        component = self.component
        return component.name if self.alone else f"{component.package}:{component.name}"

    @property
    def required(self) -> list[str]:
        """The options that have to be given."""
        return [option for option, default in self.defaults.items() if default is NOTHING]

    @property
    def pattern(self) -> str:
        """A regular expression for `name` and `package:name`, the package however it is spelt."""
        parts = filter(None, re.split(r"[-_.]+", self.component.package))
        package = "[-_.]+".join(
            "".join(f"[{letter.upper()}{letter.lower()}]" for letter in part) for part in parts
        )
        name = re.sub(r"[^\w-]", r"\\\g<0>", self.component.name)
        return f"^(({package})?:)?{name}$" if self.alone else f"^{package}:{name}$"

    @property
    def condition(self) -> Schema:
        """Accepts, of the tables that have a text `use`, those that use it."""
        return {"properties": {"use": {"pattern": self.pattern}}, "additionalProperties": True}

    def type_text(self, option: str) -> str:
        """An option's type and bounds, as people write them."""
        return type_text(self.options[option].annotation)

    def about(self, option: str) -> str:
        """An option's type and bounds, and what the component's documentation says of it."""
        sentences = re.split(r"(?<=\.)\s", self.component.documentation)
        said = (" ".join(text.split()) for text in sentences if f"`{option}`" in text)
        return " ".join([f"{self.name}: {self.type_text(option)}.", *said])


def installed(complain: Complain) -> dict[str, list[Installed]]:
    """The components that can be used, by kind; `complain` gets a sentence for each other one."""
    found: dict[str, list[Installed]] = {kind: [] for kind in COMPONENT_KINDS.values()}
    for component in components():
        kind, name = component.kind, component.name
        try:
            factory = component.load()
            given = options(factory)
            defaults = {option: default_of(factory, option) for option in given}
        except Exception as error:  # RecipeError, or what reading a strange signature raises
            complain(f"the schema leaves out the {kind} {name}: {error}")
            continue
        alone = _is_meant(component, name)
        if alone or _is_meant(component, f"{component.package}:{name}"):
            found[kind].append(Installed(component, given, defaults, alone))
    return found


def naming(choices: list[Installed]) -> Schema:
    """Accepts the texts that mean one of these; an editor offers their names with summaries."""
    text: Schema = {"description": "A component: its name, or package:name.", "type": "string"}
    if not choices:
        return text | {"not": {}}
    patterns = "|".join(choice.pattern for choice in choices)
    plain = [choice.component.name for choice in choices if choice.alone]
    summaries = [choice.component.summary for choice in choices]
    names = {"enum": [choice.name for choice in choices]}
    return {
        **text,
        **offered([text | names | {"x-taplo": {"docs": {"enumValues": summaries}}}]),
        "if": {"pattern": ":"},
        "then": {"pattern": patterns, "not": {"pattern": "\n"}},  # "$" matches before one
        "else": {"enum": plain} if plain else {"not": {}},
    }


def _is_meant(component: Component, text: str) -> bool:
    try:
        return find(component.kind, text) == component
    except RecipeError:
        return False
