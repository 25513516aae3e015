"""What the pages that frx writes have in common: one file each, no network, every text escaped."""

from __future__ import annotations

import base64
from typing import Literal

from jinja2 import Environment, PackageLoader, Template

from frx.images import shown


def template(package: str, name: str) -> Template:
    """The template `name` of a package; the filter `shown` makes any path a text on one line."""
    environment = Environment(
        loader=PackageLoader(package, "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    return environment.get_template(name)


def embedded(encoded: bytes | memoryview, kind: Literal["png", "jpeg"]) -> str:
    """A picture's file as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"
