"""The JSON Schema of recipes, with all components installed.

It accepts what `frx.recipe.load` accepts: types, bounds, choices, keys, what a component cannot do
without, texts for tables where a component needs no options. What is beyond a single key, and what
a component's own code says, only the loader finds:

* the shares of `split` that do not sum to 1; two stages, loss terms or baselines of one name;
* a component's objection to its options (low above high, a name of its own that it does not know);
* a recipe that is extended and is not there, or that is wrong itself;
* names with signs beyond ASCII that are no letters; texts with U+0000; whole numbers of more than
  64 bits; numbers beyond what a float can hold; tables and lists too deep.

A recipe with `extends`, and a profile, is a patch (`frx.overlay`) over tables that the schema does
not see. There no key is required; a table without `use` may have the options of any component of
its kind; a list may be addressed by names, which are taken to exist. A list in a patch replaces
what was there, so it is whole. All that a patch may say is accepted, and more: that the tables it
is laid over are there and of the component meant only the loader knows.

It is draft-07, the youngest that Taplo (Even Better TOML) knows well. Taplo completes from
`properties`, `anyOf` and `$ref`, and not from what is behind `if`: hence the `anyOf` with `true`
in it, which refuse nothing.
"""

from __future__ import annotations

from typing import Any

from frx.recipe import TAKEN_LABELS, TAKEN_SETS, Compared, Recipe, Stage
from frx.recipe_files import LONGEST_NAME
from frx.schema.annotations import Schema, offered
from frx.schema.components import Complain, installed
from frx.schema.keys import EXTENDS, PROFILES
from frx.schema.tables import Tables

# All of ASCII but letters, digits and _ for the first; these and . and - for all others.
FIRST = r"[^\u0000-/:-@\[-^`{-\u007f]"
OTHERS = r"[^\u0000-,/:-@\[-^`{-\u007f]"
OR_SPACE = r"[^\u0000-\u001f!-,/:-@\[-^`{-\u007f]"
NO_LINE_BREAK: Schema = {"pattern": r"\n"}  # "$" matches before a last one, too
NAME: Schema = {"pattern": f"^{FIRST}{OR_SPACE}*$", "maxLength": LONGEST_NAME, "not": NO_LINE_BREAK}
WEIGHT_0: Schema = {
    "type": "object",
    "properties": {"weight": {"const": 0}},
    "required": ["weight"],
}

# What the loader asks of a key besides its type, as far as it can be said.
BESIDES: dict[tuple[type, str], Schema] = {
    (Recipe, "name"): NAME | {"pattern": f"^{FIRST}{OTHERS}*$"},
    (Recipe, "sets"): {
        "propertyNames": NAME | {"not": {"anyOf": [NO_LINE_BREAK, {"enum": list(TAKEN_SETS)}]}}
    },
    (Stage, "name"): NAME,
    (Stage, "losses"): {"contains": {"not": WEIGHT_0}},
    (Compared, "name"): {
        "pattern": f"^({FIRST}{OR_SPACE}*)?$",
        "maxLength": LONGEST_NAME,
        "not": {"anyOf": [NO_LINE_BREAK, {"enum": list(TAKEN_LABELS)}]},
    },
}


def recipe_schema(complain: Complain) -> dict[str, Any]:
    """The schema, for JSON; imports all components.

    `complain` gets a sentence for each component that is left out, as it cannot be imported or its
    options cannot be read.
    """
    tables = Tables(installed(complain), BESIDES)
    tables.table(Recipe, True)
    patch = tables.table(Recipe, False)
    definitions = tables.definitions
    profiles: Schema = {
        "description": PROFILES,
        "type": "object",
        "propertyNames": NAME,
        "additionalProperties": patch,
    }
    definitions["recipe"]["properties"]["profiles"] = profiles
    extends = {"description": EXTENDS, "type": "string"}
    definitions["extending"] = {
        "description": "A recipe that says what it does not take from another.",
        "type": "object",
        "properties": {
            "extends": extends,
            **definitions["patch.recipe"]["properties"],
            "profiles": profiles,
        },
        "additionalProperties": False,
        "required": ["extends", "name"],
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "frx recipe",
        "description": "An experiment: data, damage, model, trainings, scores.",
        "type": "object",
        **offered([{"$ref": "#/definitions/extending"}]),
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/definitions/extending"},
        "else": {"$ref": "#/definitions/recipe"},
        "definitions": definitions,
    }
