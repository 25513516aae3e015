"""A cattrs converter that takes nothing for granted, and mistakes that know where they are.

Stock cattrs turns "3" and 3.9 into 3, "false" into True and "abc" into a list of letters. Here a
value has its type already, bounds (`annotated_types`) are kept, and all mistakes come at once.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as bounds
import attrs
import cattrs
from attrs import frozen
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
    """What is wrong, and at which key."""

    path: Path
    text: str


class Mistakes(Exception):
    """Several mistakes found in one value; paths are relative to it."""

    def __init__(self, found: list[Mistake]) -> None:
        super().__init__("; ".join(mistake.text for mistake in found))
        self.found = found


def mistakes_in(error: BaseException, path: Path = ()) -> Iterator[Mistake]:
    """Flatten what a converter raised."""
    if isinstance(error, Mistakes):
        for mistake in error.found:
            yield Mistake((*path, *mistake.path), mistake.text)
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
        for key in sorted(error.extra_fields):
            yield Mistake((*path, key), unknown_key(key, known))
    elif isinstance(error, KeyError):
        yield Mistake(path, "missing; it has no default")
    else:
        yield Mistake(path, str(error))


def unknown_key(key: str, known: list[str]) -> str:
    """The sentence about a key that nobody asked for."""
    return f"unknown key; {nearest(key, known)}"


def strict_converter() -> cattrs.Converter:
    """A new converter; its errors are read with `mistakes_in`."""
    converter = cattrs.Converter(forbid_extra_keys=True)

    def on(matches: Callable[[Any], bool], hook: Callable[[Any, Any], Any]) -> None:
        converter.register_structure_hook_func(matches, hook)

    def sequence(value: Any, type_: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, got {value!r}")
        inner = get_args(type_) or (Any,)
        if get_origin(type_) is tuple and inner[-1] is not Ellipsis:
            if len(value) != len(inner):
                raise ValueError(f"expected {len(inner)} values, got {len(value)}: {value!r}")
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
            raise TypeError(f"expected a table, got {value!r}")
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

    def literal(value: Any, type_: Any) -> Any:
        choices = get_args(type_)
        for choice in choices:
            if value == choice and type(_whole(value, type(choice))) is type(choice):
                return choice
        hint = nearest(str(value), [str(choice) for choice in choices])
        raise ValueError(f"{value!r} is not a choice; {hint}")

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
    on(lambda t: get_origin(t) in (list, tuple), sequence)
    on(lambda t: get_origin(t) is dict, mapping)
    on(lambda t: get_origin(t) is Literal, literal)
    on(lambda t: get_origin(t) in (Union, types.UnionType), union)
    on(lambda t: get_origin(t) is Annotated, bounded)
    return converter


NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _exactly(type_: type) -> Callable[[Any, Any], Any]:
    accepted = (int, float) if type_ is float else type_

    def structure(value: Any, _: Any) -> Any:
        value = _whole(value, type_)
        if not isinstance(value, accepted) or (isinstance(value, bool) and type_ is not bool):
            raise TypeError(f"expected {NAMES[type_]}, got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"expected a finite number, got {value!r}")
        return type_(value)

    return structure


def _whole(value: Any, type_: type) -> Any:
    """3 for 3.0 where a whole number is asked for: JSON, so an editor, cannot tell them apart."""
    is_whole = type_ is int and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def _check_bound(value: Any, bound: Any) -> None:
    match bound:
        case bounds.GroupedMetadata():
            for part in bound:
                _check_bound(value, part)
        case bounds.Ge(ge=least) if not value >= least:
            raise ValueError(f"must be at least {least}, got {value!r}")
        case bounds.Gt(gt=below) if not value > below:
            raise ValueError(f"must be greater than {below}, got {value!r}")
        case bounds.Le(le=most) if not value <= most:
            raise ValueError(f"must be at most {most}, got {value!r}")
        case bounds.Lt(lt=above) if not value < above:
            raise ValueError(f"must be less than {above}, got {value!r}")
        case bounds.MultipleOf(multiple_of=unit) if value % unit:
            raise ValueError(f"must be a multiple of {unit}, got {value!r}")
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
