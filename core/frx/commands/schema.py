"""`frx schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

EXAMPLES = """\
\b
Example:  frx schema -o frx.schema.json
\b
Then a recipe beside that file begins with this line:
  #:schema frx.schema.json
"""


@click.command("schema", epilog=EXAMPLES)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The file; else it is printed.")
def command(out: Path | None) -> None:
    """Write the JSON Schema by which editors check recipes.

    It has the options of every component installed, so write it again after installing a plugin.
    An editor that checks TOML by a schema (VS Code with Even Better TOML, others with Taplo)
    completes a recipe's keys, explains them, and marks what `frx run` would refuse.
    """
    from frx import files
    from frx.schema.recipes import recipe_schema

    schema = recipe_schema(lambda sentence: click.echo(f"frx: {sentence}", err=True))
    text = json.dumps(schema, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    files.write(out, text)
    click.echo(f"written to {out}; a recipe beside it begins with the line")
    click.echo(f"#:schema {out.name}")
