"""A cattrs converter that takes nothing for granted, and mistakes that know where they are.

Stock cattrs turns "3" and 3.9 into 3, "false" into True and "abc" into a list of letters. Here a
value has its type already, bounds (`annotated_types`) are kept, and all mistakes come at once.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as bounds
import attrs
import cattrs
from attrs import evolve, frozen
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from frx.registry import nearest
from frx.toml_lines import Path


@frozen
class Mistake:
    """What is wrong, and at which key; `known` are those that an unknown one stands beside."""

    path: Path
    text: str
    known: tuple[str, ...] = ()


class Mistakes(Exception):
    """Several mistakes found in one value; paths are relative to it."""

    def __init__(self, found: list[Mistake]) -> None:
        super().__init__("; ".join(mistake.text for mistake in found))
        self.found = found


def mistakes_in(error: BaseException, path: Path = ()) -> Iterator[Mistake]:
    """Flatten what a converter raised."""
    if isinstance(error, Mistakes):
        for mistake in error.found:
            yield evolve(mistake, path=(*path, *mistake.path))
    elif isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            notes = getattr(inner, "__notes__", ())
            steps: Path = tuple(
                note.name if isinstance(note, AttributeValidationNote) else note.index
                for note in notes
                if isinstance(note, AttributeValidationNote | IterableValidationNote)
            )[:1]
            yield from mistakes_in(inner, (*path, *steps))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)] if error.cl else []
        yield from (unknown_key((*path, key), known) for key in sorted(error.extra_fields))
    elif isinstance(error, KeyError):
        yield Mistake(path, "missing; it has no default")
    else:
        yield Mistake(path, str(error).partition("\n")[0] or type(error).__name__)


def shown(value: Any) -> str:
    """A value as a message quotes it: short, and as a recipe would have it."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return str(value).lower()
    text = value.isoformat() if hasattr(value, "isoformat") else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def unknown_key(path: Path, known: Iterable[str], elsewhere: str = "") -> Mistake:
    """The mistake of a key that nobody asked for, but perhaps `elsewhere`."""
    there = f"there is {elsewhere}; " if elsewhere else ""
    return Mistake(path, f"unknown key; {there}{nearest(str(path[-1]), known)}", tuple(known))


def strict_converter() -> cattrs.Converter:
    """A new converter; its errors are read with `mistakes_in`."""
    converter = cattrs.Converter(forbid_extra_keys=True)

    def on(matches: Callable[[Any], bool], hook: Callable[[Any, Any], Any]) -> None:
        converter.register_structure_hook_func(matches, hook)

    def sequence(value: Any, type_: Any) -> Any:
        if not isinstance(value, list | tuple):
            is_table = isinstance(value, dict)
            hint = "[[…]] begins each of its tables" if is_table else "it stands in [brackets]"
            raise TypeError(f"expected a list, got {shown(value)}; {hint}")
        inner = get_args(type_) or (Any,)
        if get_origin(type_) is tuple and inner[-1] is not Ellipsis:
            if len(value) != len(inner):
                raise ValueError(f"expected {len(inner)} values, got {len(value)}: {shown(value)}")
            return tuple(each(zip(value, inner, strict=True)))
        found = each((item, inner[0]) for item in value)
        return tuple(found) if get_origin(type_) is tuple else found

    def each(pairs: Any) -> list[Any]:
        found: list[Any] = []
        wrong: list[Mistake] = []
        for number, (item, item_type) in enumerate(pairs):
            try:
                found.append(converter.structure(item, item_type))
            except Exception as error:
                wrong += mistakes_in(error, (number,))
        if wrong:
            raise Mistakes(wrong)
        return found

    def mapping(value: Any, type_: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise no_table(value)
        found: dict[str, Any] = {}
        wrong: list[Mistake] = []
        for key, item in value.items():
            try:
                found[key] = converter.structure(item, get_args(type_)[1])
            except Exception as error:
                wrong += mistakes_in(error, (key,))
        if wrong:
            raise Mistakes(wrong)
        return found

    def fields(class_: Any) -> Callable[[Any, Any], Any]:
        fill = converter.gen_structure_attrs_fromdict(class_)

        def structure(value: Any, type_: Any) -> Any:
            if not isinstance(value, dict):
                raise no_table(value)
            return fill(value, type_)

        return structure

    def literal(value: Any, type_: Any) -> Any:
        choices = get_args(type_)
        for choice in choices:
            if value == choice and type(_whole(value, type(choice))) is type(choice):
                return choice
        hint = nearest(str(value), [str(choice) for choice in choices])
        raise ValueError(f"{shown(value)} is not a choice; {hint}")

    def union(value: Any, type_: Any) -> Any:
        choices = [choice for choice in get_args(type_) if choice is not types.NoneType]
        if value is None and len(choices) < len(get_args(type_)):
            return None
        # A list or table was meant as one: only its own mistakes help.
        alike = [choice for choice in choices if _shape(choice) == _shape_of_value(value)]
        problems = []
        for choice in alike or choices:
            try:
                return converter.structure(value, choice)
            except Exception as error:
                problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        raise ValueError("; or ".join(m.text for p in problems for m in mistakes_in(p)))

    def bounded(value: Any, type_: Any) -> Any:
        inner, *metadata = get_args(type_)
        result = converter.structure(value, inner)
        for bound in metadata:
            _check_bound(result, bound)
        return result

    for type_ in (bool, int, float, str):
        converter.register_structure_hook(type_, _exactly(type_))
    converter.register_structure_hook_factory(attrs.has, fields)
    on(lambda t: get_origin(t) in (list, tuple), sequence)
    on(lambda t: get_origin(t) is dict, mapping)
    on(lambda t: get_origin(t) is Literal, literal)
    on(lambda t: get_origin(t) in (Union, types.UnionType), union)
    on(lambda t: get_origin(t) is Annotated, bounded)
    return converter


NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
SHOWN = 80  # signs of a value that a message quotes
INTEGERS = range(-(2**63), 2**63)  # what TOML promises


def no_table(value: Any) -> TypeError:
    """What stands where a table would is none."""
    return TypeError(f"expected a table, got {shown(value)}")


def _exactly(type_: type) -> Callable[[Any, Any], Any]:
    accepted = (int, float) if type_ is float else type_

    def structure(value: Any, _: Any) -> Any:
        value = _whole(value, type_)
        if not isinstance(value, accepted) or (isinstance(value, bool) and type_ is not bool):
            raise TypeError(f"expected {NAMES[type_]}, got {shown(value)}{_requoted(value, type_)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"expected a finite number, got {value!r}")
        if isinstance(value, int) and value not in INTEGERS:
            raise ValueError(f"needs more than 64 bits: {shown(value)}")
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"may not hold the sign U+0000, got {shown(value)}")
        return type_(value)

    return structure


def _requoted(value: Any, type_: type) -> str:
    """What to write instead where only the quotes are wrong."""
    if type_ is str:
        return f'; in quotes: "{shown(value)}"' if isinstance(value, int | float) else ""
    pattern = {bool: "true|false", int: r"[+-]?\d+"}.get(type_, r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
    fits = isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII)
    return f"; without quotes: {value}" if fits else ""


def _whole(value: Any, type_: type) -> Any:
    """3 for 3.0 where a whole number is asked for: JSON, so an editor, cannot tell them apart."""
    is_whole = type_ is int and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole and abs(value) < INTEGERS.stop else value


def _check_bound(value: Any, bound: Any) -> None:
    match bound:
        case bounds.GroupedMetadata():
            for part in bound:
                _check_bound(value, part)
        case bounds.Ge(ge=least) if not value >= least:
            raise ValueError(f"must be at least {least}, got {shown(value)}")
        case bounds.Gt(gt=below) if not value > below:
            raise ValueError(f"must be greater than {below}, got {shown(value)}")
        case bounds.Le(le=most) if not value <= most:
            raise ValueError(f"must be at most {most}, got {shown(value)}")
        case bounds.Lt(lt=above) if not value < above:
            raise ValueError(f"must be less than {above}, got {shown(value)}")
        case bounds.MultipleOf(multiple_of=unit) if value % unit:
            raise ValueError(f"must be a multiple of {unit}, got {shown(value)}")
        case bounds.MinLen(min_length=least) if len(value) < least:
            raise ValueError(f"needs at least {least} of them, got {len(value)}")
        case bounds.MaxLen(max_length=most) if len(value) > most:
            raise ValueError(f"takes at most {most} of them, got {len(value)}")


def _shape(type_: Any) -> str:
    if get_origin(type_) is Annotated:
        return _shape(get_args(type_)[0])
    origin = get_origin(type_)
    if origin is Literal:
        return "plain"
    if origin in (list, tuple):
        return "list"
    return "plain" if type_ in (bool, int, float, str) else "table"


def _shape_of_value(value: Any) -> str:
    return "table" if isinstance(value, dict) else "list" if isinstance(value, list) else "plain"
