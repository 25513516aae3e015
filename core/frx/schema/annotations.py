"""From an annotation to the JSON Schema that accepts what `frx.strict` accepts for it.

Every type has two forms. A whole one is all there is. A patch is laid over what may be there (see
`frx.overlay`): its tables need no key, and it may address the elements of a list.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as bounds
import attrs
from attrs import frozen

from frx.build import component_kind

Schema = dict[str, Any]
Parts = dict[str, list[Schema]]  # by "array", "object" and, for the rest, "plain", in this order
PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string"}
# How the keywords end that limit how much there is, by JSON type.
AMOUNTS = {"array": "Items", "string": "Length", "object": "Properties"}


@frozen
class Types:
    """The schemas of annotations; those of tables are made elsewhere.

    `table(of, whole)` gives the schema of a kind of component or of an attrs class, `by_name(of)`
    that of a table which patches a list of such.
    """

    table: Callable[[Any, bool], Schema]
    by_name: Callable[[Any], Schema]

    def of(self, annotation: Any, *, whole: bool) -> Schema:
        """The schema of an annotation; for one that says nothing it accepts everything."""
        return by_type(self._parts(annotation, whole))

    def _parts(self, annotation: Any, whole: bool) -> Parts:
        """What is accepted of an array, of an object, and of the rest."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if (tabled := table_of(annotation)) is not None:
            return {"object": [self.table(tabled, whole)]}
        if origin is Annotated:
            parts = self._parts(arguments[0], whole)
            return {kind: [limited(s, arguments[1:], whole) for s in parts[kind]] for kind in parts}
        if origin is Literal:
            choices = [choice for choice in arguments if type(choice) in PLAIN]
            return {"plain": [{"enum": choices} if choices else {"not": {}}]}
        if origin in (Union, types.UnionType):
            return self._union([a for a in arguments if a is not types.NoneType], whole)
        if origin in (list, tuple):
            return self._list(annotation, whole)
        if origin is dict:
            values = self.of(arguments[1], whole=whole)
            return {"object": [{"type": "object", "additionalProperties": values}]}
        return {"plain": [{"type": PLAIN[annotation]} if annotation in PLAIN else {}]}

    def _union(self, choices: list[Any], whole: bool) -> Parts:
        """As the loader: a list or a table was meant as one; a text may name a component."""
        found: Parts = {"array": [], "object": [], "plain": []}
        for choice in choices:
            for kind, schemas in self._parts(choice, whole).items():
                found[kind] += schemas
        return {kind: schemas for kind, schemas in found.items() if schemas}

    def _list(self, annotation: Any, whole: bool) -> Parts:
        inner = get_args(annotation)
        fixed = get_origin(annotation) is tuple and inner[-1] is not Ellipsis
        inner = inner if fixed else inner[:1]
        items = [self.of(each, whole=True) for each in inner]
        found: Schema = {"type": "array", "items": items if len(distinct(items)) > 1 else items[0]}
        if fixed:
            found |= {"minItems": len(inner), "maxItems": len(inner)}
        if whole:
            return {"array": [found]}
        if not fixed and (tabled := table_of(inner[0])) is not None:
            return {"array": [found], "object": [self.by_name(tabled)]}
        elements = any_of(self.of(each, whole=False) for each in inner)
        found |= {"type": ["array", "object"], "additionalProperties": elements}
        return {"array": [found], "object": [found]}


def table_of(annotation: Any) -> Any:
    """The kind or class whose table an annotation asks for; None where it asks for no table."""
    is_class = isinstance(annotation, type) and attrs.has(annotation)
    return component_kind(annotation) or (annotation if is_class else None)


def distinct(schemas: Iterable[Schema]) -> list[Schema]:
    """Each schema once."""
    found: list[Schema] = []
    for schema in schemas:
        if schema not in found:
            found.append(schema)
    return found


def any_of(schemas: Iterable[Schema]) -> Schema:
    """The schema of what at least one of them accepts."""
    found = distinct(schemas)
    return found[0] if len(found) == 1 else {"anyOf": found}


def offered(schemas: Iterable[Schema]) -> Schema:
    """Accepts everything; what an editor completes from, for it does not look behind "if"."""
    return {"anyOf": [True, *distinct(schemas)]}


def by_type(parts: Parts) -> Schema:
    """One of these for an array, one of those for an object, or else for the rest.

    Of a mistake inside a table an editor then says more than that nothing fits.
    """
    schemas = {kind: any_of(each) for kind, each in parts.items()}
    if len(distinct(schemas.values())) == 1:
        return next(iter(schemas.values()))
    *others, (_, found) = schemas.items()
    for kind, schema in reversed(others):
        found = {"if": {"type": kind}, "then": schema, "else": found}
    return offered(each for kind in parts for each in parts[kind]) | found


def limited(schema: Schema, metadata: Iterable[Any], whole: bool) -> Schema:
    """A schema with the bounds of an annotation; a patch's tables may have any number of keys."""
    kinds = [kind for kind in AMOUNTS if kind in schema.get("type", ())]
    counted = [AMOUNTS[kind] for kind in kinds if whole or kind != "object"]
    limits: Schema = {}
    for bound in _single(metadata):
        match bound:
            case bounds.Ge(ge=least):
                limits["minimum"] = least
            case bounds.Gt(gt=below):
                limits["exclusiveMinimum"] = below
            case bounds.Le(le=most):
                limits["maximum"] = most
            case bounds.Lt(lt=above):
                limits["exclusiveMaximum"] = above
            case bounds.MultipleOf(multiple_of=unit):
                limits["multipleOf"] = unit
            case bounds.MinLen(min_length=least):
                limits |= {f"min{amount}": least for amount in counted}
            case bounds.MaxLen(max_length=most):
                limits |= {f"max{amount}": most for amount in counted}
    return schema | limits


def _single(metadata: Iterable[Any]) -> Iterator[Any]:
    """Bounds, those of intervals and lengths one by one."""
    for bound in metadata:
        if isinstance(bound, bounds.GroupedMetadata):
            yield from _single(bound)
        else:
            yield bound
