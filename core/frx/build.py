"""A component's signature is its schema: from a recipe's table to a checked, built object.

Keyword-only parameters are options. Everything positional is run-time data, asked for by name.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import cattrs
from attrs import field, frozen

from frx import registry
from frx.errors import FrxError, RecipeError
from frx.overlay import Table
from frx.registry import Component
from frx.specs import COMPONENT_KINDS
from frx.strict import (
    Mistake,
    Mistakes,
    mistakes_in,
    no_table,
    shown,
    strict_converter,
    unknown_key,
)


@frozen
class Use:
    """A component chosen by a recipe, with its options checked; `build` makes the object."""

    component: Component
    options: dict[str, Any]

    @property
    def name(self) -> str:
        return self.component.name

    def build(self, **data: Any) -> Any:
        """The object, given the run-time data that its constructor asks for by name.

        A function becomes itself with its options filled in.

        Raises:
            RecipeError: it asks for data that are not there, or objects to its options.
        """
        factory = self.component.load()
        options = {name: _built(value) for name, value in self.options.items()}
        if not inspect.isclass(factory):
            return partial(factory, **options) if options else factory
        wanted = {name: data[name] for name in asked(factory, data)}
        try:
            return factory(**wanted, **options)
        except ValueError as error:
            raise RecipeError(f"{self.name}: {error}") from error

    def setting(self, option: str) -> Any:
        """An option's value, its default where the recipe is silent, None where there is none."""
        if option in self.options:
            return self.options[option]
        factory = self.component.load()
        return default_of(factory, option) if option in options(factory) else None

    def table(self) -> dict[str, Any]:
        """The recipe table that says the same, every option spelled out."""
        settings = {key: self.setting(key) for key in options(self.component.load())}
        return {"use": self.component.qualified} | {
            k: _plain(v) for k, v in settings.items() if v is not None
        }


def options(factory: Any) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a component, annotations resolved.

    Raises:
        RecipeError: an option has no annotation to check it by, one that needs a missing name, or
            one that no recipe can write.
    """
    target = factory.__init__ if inspect.isclass(factory) else factory
    scope = vars(sys.modules[factory.__module__])
    try:
        hints = typing.get_type_hints(target, globalns=scope, include_extras=True)
    except NameError as error:
        raise RecipeError(
            f"{factory.__qualname__}: an annotation cannot be read: {error}"
        ) from error
    found = {}
    for name, parameter in _keyword_only(factory).items():
        if name not in hints:
            raise RecipeError(f"{factory.__qualname__}: the option {name!r} has no annotation")
        if not _can_be_written(hints[name]):
            given = getattr(hints[name], "__name__", hints[name])
            raise RecipeError(
                f"{factory.__qualname__}: the option {name!r} is annotated {given}, which no "
                "recipe can write; bool, int, float, str, Literal, list[…], tuple[…], dict[str, …] "
                "and attrs classes of these and kinds of components can be written"
            )
        found[name] = parameter.replace(annotation=hints[name])
    return found


def _can_be_written(type_: Any) -> bool:
    """Whether a TOML value can become this, strictly checked."""
    origin, arguments = get_origin(type_), get_args(type_)
    if component_kind(type_) or origin is Literal:
        return True
    if origin is Annotated:
        return _can_be_written(arguments[0])
    if origin in (list, tuple, dict, Union, types.UnionType):
        return all(_can_be_written(one) for one in arguments if one not in (..., types.NoneType))
    return type_ in (bool, int, float, str, Any) or attrs.has(type_)


def _keyword_only(factory: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(factory).parameters
    return {n: p for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def default_of(factory: Any, name: str) -> Any:
    """An option's default; `inspect.Parameter.empty` where it has none."""
    default = _keyword_only(factory)[name].default
    if default is attrs.NOTHING:  # an attrs factory
        made = getattr(attrs.fields_dict(factory)[name].default, "factory", None)
        return made() if made else inspect.Parameter.empty
    return default


@cache
def run_time_data(callable_: Any) -> dict[str, bool]:
    """The names of positional parameters; True where there is no default."""
    parameters = inspect.signature(callable_).parameters.values()
    return {
        p.name: p.default is p.empty
        for p in parameters
        if p.kind is p.POSITIONAL_OR_KEYWORD or p.kind is p.POSITIONAL_ONLY
    }


def asked(callable_: Any, data: Mapping[str, Any]) -> list[str]:
    """Which of `data` a callable wants.

    Raises:
        RecipeError: it wants something that is not there.
    """
    wanted = run_time_data(callable_)
    missing = [name for name, required in wanted.items() if required and name not in data]
    if missing:
        name = getattr(callable_, "__qualname__", type(callable_).__name__).partition(".")[0]
        raise RecipeError(
            f"{name} asks for {', '.join(missing)}, which is not there (there is: "
            f"{', '.join(sorted(data)) or 'nothing'})"
        )
    return [name for name in wanted if name in data]


def call(component: Callable[..., Any], data: Mapping[str, Any]) -> Any:
    """Call with the run-time data that `component` asks for by name."""
    names = _asked(_naming_its_data(component), frozenset(data))
    return component(**{name: data[name] for name in names})


def wants(component: Callable[..., Any], name: str) -> bool:
    """Whether `component` asks for run-time data of this name when it is called."""
    return name in run_time_data(_naming_its_data(component))


def needs(component: Callable[..., Any], name: str) -> bool:
    """Whether `component` cannot be called without run-time data of this name."""
    return run_time_data(_naming_its_data(component)).get(name, False)


def called(component: Any) -> str:
    """What to call a component in a sentence: its function or class."""
    if isinstance(component, partial):
        return called(component.func)
    return str(getattr(component, "__name__", type(component).__name__))


def _naming_its_data(component: Callable[..., Any]) -> Callable[..., Any]:
    """The function in whose signature a component names its run-time data."""
    if isinstance(component, partial):
        return _naming_its_data(component.func)
    if hasattr(component, "forward"):  # an nn.Module: its __call__ hides the names
        return type(component).forward  # type: ignore[attr-defined, no-any-return]
    return component if inspect.isroutine(component) else type(component).__call__


@cache
def _asked(callable_: Any, names: frozenset[str]) -> tuple[str, ...]:
    """`asked`, remembered: it stands in the training loop."""
    found = asked(callable_, dict.fromkeys([*names, "self"]))
    return tuple(name for name in found if name != "self")


def converter_for(kinds: Iterable[str]) -> cattrs.Converter:
    """A strict converter that also knows components.

    Tables of other kinds than `kinds` stay unread: damaging images needs no loss, so no torch.
    """
    converter = strict_converter()
    resolved = frozenset(kinds)

    def use(value: Any, type_: Any, beside: Iterable[str] = ()) -> Use | None:
        if isinstance(value, str):  # one that needs no options
            value = Table(use=value)
        kind = component_kind(type_)
        return _structure_use(value, kind, converter, beside) if kind in resolved else None

    def flat(value: Any, class_: Any) -> Any:
        """A table with keys of its own (weight, on, …) beside those of the component it uses."""
        if isinstance(value, str):  # one that needs no options
            value = Table(use=value)
        if not isinstance(value, dict):
            raise no_table(value)
        (component,) = (f for f in attrs.fields(class_) if _flat(f))
        own = {f.name: f for f in attrs.fields(class_) if not _flat(f)}
        rest = Table({key: item for key, item in value.items() if key not in own})
        rest.inherited = getattr(value, "inherited", frozenset())
        found: dict[str, Any] = {}
        wrong: list[Mistake] = []
        try:
            found[component.name] = use(rest, component.type, own)
        except Exception as error:
            wrong += mistakes_in(error)
        for name, attribute in own.items():
            try:
                if name in value:
                    found[name] = converter.structure(value[name], attribute.type)
                elif attribute.default is attrs.NOTHING:
                    raise KeyError(name)
            except Exception as error:
                wrong += mistakes_in(error, (name,))
        if wrong:
            raise Mistakes(wrong)
        return class_(**found)

    converter.register_structure_hook_func(lambda type_: component_kind(type_) != "", use)
    converter.register_structure_hook_func(
        lambda t: attrs.has(t) and any(_flat(attribute) for attribute in attrs.fields(t)), flat
    )
    return converter


def component_field(**settings: Any) -> Any:
    """An attrs field whose component shares the table of the class it stands in."""
    return field(metadata={"flat": True}, **settings)


def _flat(attribute: Any) -> bool:
    return bool(attribute.metadata.get("flat"))


def component_kind(type_: Any) -> str:
    """The kind of component that an annotation asks for; empty where it asks for none."""
    if get_origin(type_) is Annotated:
        inner, *more = get_args(type_)
        return str(more[0]) if inner is Use else ""
    return COMPONENT_KINDS.get(type_, "") if isinstance(type_, type) else ""


def _structure_use(
    value: Any, kind: str, converter: cattrs.Converter, beside: Iterable[str]
) -> Use:
    if not isinstance(value, dict):
        raise TypeError(f'expected a table such as {{ use = "…" }}, got {shown(value)}')
    if "use" not in value:
        names = [c.name for c in registry.components() if c.kind == kind]
        raise ValueError(f'use = "…" is missing; {registry.nearest("", names)}')
    if not isinstance(value["use"], str):
        raise Mistakes([Mistake(("use",), f"expected a text, got {shown(value['use'])}")])
    try:
        component = registry.find(kind, value["use"])
        known = options(component.load())
    except RecipeError as error:
        raise Mistakes([Mistake(("use",), str(error))]) from error
    inherited: frozenset[str] = getattr(value, "inherited", frozenset())
    found: dict[str, Any] = {}
    wrong: list[Mistake] = []
    for key, item in value.items():
        if key == "use" or (key in inherited and key not in known):
            continue
        if key not in known:
            wrong.append(unknown_key((key,), ["use", *known, *beside]))
            continue
        try:
            found[key] = converter.structure(item, known[key].annotation)
        except Exception as error:
            wrong += mistakes_in(error, (key,))
    for key in known:
        if key not in value and default_of(component.load(), key) is inspect.Parameter.empty:
            wrong.append(Mistake((key,), f"missing; {component.name} needs it"))
    if wrong:
        raise Mistakes(wrong)
    use = Use(component, found)
    _try(use)
    return use


# What costs little to make is made once while the recipe is read, so that a component's own
# objections (low above high) come with all other mistakes.
TRIED = frozenset(
    {
        "adversarial_loss",
        "augmentation",
        "baseline",
        "degradation",
        "hook",
        "optimizer",
        "schedule",
    }
)


def _try(use: Use) -> None:
    try:
        if use.component.kind in TRIED:
            use.build()
        elif use.component.kind in ("model", "discriminator"):
            import torch

            with torch.device("meta"):
                use.build()
    except FrxError as error:
        raise Mistakes([Mistake((), str(error))]) from error
    except Exception as error:  # sizes beyond all memory, or a mistake in a plugin
        reason = str(error).partition("\n")[0]
        text = f"{use.name}: cannot be made: {type(error).__name__}: {reason}"
        raise Mistakes([Mistake((), text)]) from error


def _built(value: Any) -> Any:
    if isinstance(value, Use):
        return value.build()
    if isinstance(value, list):
        return [_built(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Use):
        return value.table()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return attrs.asdict(value) if attrs.has(type(value)) else value
