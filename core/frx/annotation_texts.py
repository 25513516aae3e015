"""Annotations of options as people write them."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

import attrs

from frx.specs import COMPONENT_KINDS


def type_text(annotation: Any) -> str:
    """An annotation as people write it: `float, at least 0`, `"center" | "none"`."""
    if get_origin(annotation) is Annotated:
        inner, *bounds = get_args(annotation)
        limits = ", ".join(text for bound in bounds for text in _bounds(bound))
        return f"{type_text(inner)}, {limits}" if limits else type_text(inner)
    if annotation is type(None):
        return "none"
    if isinstance(annotation, type) and not get_args(annotation):
        if annotation in COMPONENT_KINDS:
            return COMPONENT_KINDS[annotation]
        if attrs.has(annotation):
            fields = (f"{f.name}: {type_text(f.type)}" for f in attrs.fields(annotation))
            return f"{{ {'; '.join(fields)} }}"
        return annotation.__name__
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (list, tuple, dict):
        inside = ("…" if one is ... else type_text(one) for one in arguments)
        return f"{origin.__name__}[{', '.join(inside)}]"
    return " | ".join(repr(a) if isinstance(a, str) else type_text(a) for a in arguments)


BOUNDS = {
    "ge": "at least",
    "gt": "greater than",
    "le": "at most",
    "lt": "less than",
    "multiple_of": "a multiple of",
    "min_length": "how many: at least",
    "max_length": "how many: at most",
}


def _bounds(bound: Any) -> list[str]:
    values = ((words, getattr(bound, key, None)) for key, words in BOUNDS.items())
    return [f"{words} {value}" for words, value in values if value is not None]
