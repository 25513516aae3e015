"""The JSON Schema of recipes says of a recipe what the loader says of it."""

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types as bounds
import attrs
import click
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from frx import recipe as recipes
from frx.build import converter_for, default_of, options
from frx.cli import cli
from frx.errors import RecipeError
from frx.recipe import load
from frx.registry import GROUPS, components
from frx.schema.annotations import Types, table_of
from frx.schema.components import installed
from frx.schema.keys import KEYS
from frx.schema.recipes import BESIDES, recipe_schema
from frx.schema.tables import Tables
from frx.specs import AdversarialLoss, Augmentation, Degradation

SHIPPED = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))
OURS = [component for component in components() if component.package == "frx"]
TABLES = {"dataset": "data", "loss": "loss_term", "baseline": "compared"}
OFTEN = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return recipe_schema(print)


@pytest.fixture(scope="module")
def checker(schema: dict[str, Any]) -> Draft7Validator:
    return Draft7Validator(schema)


def test_it_is_a_schema_of_draft_7_that_refers_to_nothing_else(schema: dict[str, Any]) -> None:
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema)))
    for reference in references:
        assert re.fullmatch(r"#/definitions/[\w./]+", reference)
        found: Any = schema
        for step in reference.split("/")[1:]:
            found = found[step]
    # Taplo would follow "allOf" to something without properties for ever.
    described = (part for part in walk(schema) if "description" in part and "allOf" in part)
    for part in described:
        (reference,) = part["allOf"]
        assert "properties" in schema["definitions"][reference["$ref"].split("/")[2]]


def walk(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from walk(inner)


# Shipped recipes -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_accepts_every_shipped_recipe_and_what_becomes_of_it(
    path: Path, checker: Draft7Validator
) -> None:
    assert mistakes(checker, tomllib.loads(path.read_text(encoding="utf-8"))) == []
    assert mistakes(checker, tomllib.loads(tomli_w.dumps(load(path).table()))) == []


def mistakes(checker: Draft7Validator, table: Any) -> list[tuple[str, str]]:
    """Where an editor marks something, and what it says."""
    return [
        (".".join(map(str, error.absolute_path)), error.message)
        for error in checker.iter_errors(table)
    ]


# What an editor shows ------------------------------------------------------------------------


@pytest.mark.parametrize("class_", KEYS, ids=lambda class_: class_.__name__)
def test_every_key_of_a_recipe_is_described(class_: type, schema: dict[str, Any]) -> None:
    own = {field.name for field in attrs.fields(class_) if not field.metadata.get("flat")}
    assert KEYS[class_].keys() == own
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_.__name__).lower()
    table = schema["definitions"][name]["properties"]
    for field in attrs.fields(class_):
        if field.name in own:
            shown = table[field.name]
            assert shown["description"] == KEYS[class_][field.name]
            if isinstance(field.default, bool | int | float | str):
                assert shown["default"] == field.default
    if class_ is recipes.Stage:
        assert table["optimizer"]["default"] == "adam"


@pytest.mark.parametrize("component", OURS, ids=lambda c: f"{c.kind}-{c.name}")
def test_every_component_and_every_option_is_described(
    component: Any, schema: dict[str, Any]
) -> None:
    kind = TABLES.get(component.kind, component.kind)
    use = schema["definitions"][f"use.{kind}"]["anyOf"][1]
    summaries = dict(zip(use["enum"], use["x-taplo"]["docs"]["enumValues"], strict=True))
    assert summaries[component.name] == component.summary
    factory = component.load()
    for option in options(factory):
        shown = schema["definitions"][f"{kind}.{component.name}"]["properties"][option]
        assert shown["description"].startswith(f"{component.name}: ")
        offered = schema["definitions"][kind]["properties"][option]
        assert component.name in offered["description"]
        default = default_of(factory, option)
        if default in (None, inspect.Parameter.empty):
            assert "default" not in shown
        else:
            plain = attrs.asdict(default) if attrs.has(type(default)) else default
            assert shown["default"] == json.loads(json.dumps(plain))


WHOLE = {
    "name": "tiny",
    "data": {"use": "synthetic_faces", "size": 32, "split": [0.8, 0.1, 0.1]},
    "degradations": ["jpeg", {"use": "one_of", "of": [{"use": "downsample"}]}],
    "model": {"use": "unet", "width": 4},
    "stages": [
        {"name": "a", "epochs": 2, "optimizer": {"use": "adam"}, "losses": [{"use": "l1"}, "mse"]}
    ],
    "metrics": [{"use": "psnr"}],
    "hooks": [{"use": "samples"}],
}


def test_the_example_is_a_recipe(checker: Draft7Validator, tmp_path: Path) -> None:
    assert mistakes(checker, WHOLE) == [] == refusals(WHOLE, tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "where", "says"),
    [
        (["sede"], 1, "", "'sede' was unexpected"),
        (["model", "use"], "unett", "model.use", "'unett' is not one of ['dual_decoder_unet'"),
        (["model", "widht"], 4, "model", "'widht' was unexpected"),
        (["model", "width"], 0, "model.width", "0 is less than the minimum of 1"),
        (["model", "predict"], "imgae", "model.predict", "is not one of ['image', 'correction']"),
        (["model"], "unett", "model", "'unett' is not one of ["),
        (["degradations", 1, "of", 0, "scale"], [1], "degradations.1.of.0.scale", "too short"),
        (["degradations", 0], "one_of", "degradations.0", "'one_of' is not one of ["),
        (["stages", 0, "schedule"], "step", "stages.0.schedule", "'step' is not one of ["),
        (["degradations", 1, "of"], [], "degradations.1.of", "should be non-empty"),
        (["stages", 0, "epochs"], "2", "stages.0.epochs", "'2' is not of type 'integer'"),
        (["stages", 0, "losses", 0, "weight"], -1, "stages.0.losses.0.weight", "minimum of 0"),
        (["stages", 0, "optimizer"], {"lr": 1}, "stages.0.optimizer", "'use' is a required"),
        (["hooks"], {"samples": {}}, "hooks", "is not of type 'array'"),
        (["sets"], {"test": "synthetic_faces"}, "sets", "'test' should not be valid under"),
        (["sets"], {"../more": "synthetic_faces"}, "sets", "'../more' does not match"),
        (["name"], "../tiny", "name", "does not match"),
        (["name"], "a" * 61, "name", "is too long"),
        (["stages", 0, "name"], "../a", "stages.0.name", "does not match"),
        (["profiles"], {"../more": {}}, "profiles", "'../more' does not match"),
    ],
)
def test_one_mistake_is_marked_once_and_where_it_is(
    path: list[Any], value: Any, where: str, says: str, checker: Draft7Validator, tmp_path: Path
) -> None:
    wrong = deepcopy(WHOLE)
    put(wrong, path, value)
    ((place, text),) = mistakes(checker, wrong)
    assert place == where
    assert says in text
    assert refusals(wrong, tmp_path)


def put(table: Any, path: list[Any], value: Any) -> None:
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = value


def refusals(table: dict[str, Any], folder: Path, **arguments: Any) -> list[str]:
    """The lines with which the loader refuses a recipe; none if it takes it."""
    path = folder / "x.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    try:
        load(path, **arguments)
    except RecipeError as error:
        return str(error).splitlines()
    return []


# Exactly what the loader accepts -------------------------------------------------------------

# Right for some options, of a wrong type or beyond the bounds of others.
ODD: list[Any] = [
    *(True, False, 0, -1, 3, 3.0, 64.0, 2.5, 0.5, 1e9, "", "x", "a.png", "own", "mask", "unet"),
    *("adam", "jpeg", "l1", "frx:unet", "FRX:jpeg", ":adam", "frx:nothing", "other:unet"),
    *("one_of", "step", "frx:one_of"),  # need options
    *([], {}, [0.5], [3, 3.0], [1, 2, 3], [0.1, "b"], ["l1"], ["horizontal"], ["jpeg", ["jpeg"]]),
    *({"x": 1}, {"use": 1}, {"use": "jpeg"}, {"use": "FRX:l1", "weight": 0}, {"after_epoch": 2.0}),
    *({"use": "one_of"}, {"use": "one_of", "of": ["jpeg", {"use": "shapes", "count": [1, 1]}]}),
    *({"use": "one_of", "of": [{"use": "adam"}]}, [{"use": "jpeg", "quality": [5, 5, 5]}]),
]


def ends(annotation: Any) -> Iterator[float]:
    """The numbers at an annotation's bounds, and those next to them."""
    for argument in get_args(annotation):
        if get_origin(annotation) is Annotated and argument is not get_args(annotation)[0]:
            found = (getattr(argument, name, None) for name in ("ge", "gt", "le", "lt"))
            yield from (e + step for e in found if e is not None for step in (0, 1, -1, 0.25))
        else:
            yield from ends(argument)


@pytest.fixture(scope="module")
def types() -> Iterator[Callable[[Any, bool], Draft7Validator]]:
    """The schemas of single annotations."""
    tables = Tables(installed(print), BESIDES)

    def validator(annotation: Any, whole: bool) -> Draft7Validator:
        schema = Types(tables.table, tables.by_name).of(annotation, whole=whole)
        return Draft7Validator(schema | {"definitions": tables.definitions})

    return validator


@attrs.frozen(kw_only=True)
class Knob:
    at: Annotated[int, bounds.Ge(2)]
    label: str | None = None
    other: list[Degradation] = attrs.Factory(list)


# What an option of some other package may be.
ANNOTATIONS = {
    "whole or own": Annotated[int, bounds.Ge(1)] | Literal["own"],
    "text or table": Degradation | Literal["none"],
    "table or list": Degradation | list[Degradation],
    "numbers or one": list[float] | float,
    "two kinds": AdversarialLoss | Augmentation,
    "shares": dict[str, Annotated[float, bounds.Interval(ge=0, lt=1)]],
    "mixed": tuple[int, str, bool],
    "multiple": Annotated[int, bounds.MultipleOf(3)],
    "some texts": Annotated[tuple[str, ...], bounds.Len(1, 2)],
    "a long text": Annotated[str, bounds.MinLen(4)],
    "choices of all kinds": Literal[3, 64, "x", True],
    "a table of its own": Knob,
    "lists of lists": list[list[int]],
    "perhaps a list of kinds": Annotated[list[Degradation], bounds.Len(1)] | None,
    "tables by name": Annotated[dict[str, Degradation], bounds.MinLen(1)],
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_an_annotation_takes_what_the_loader_takes_for_it(name: str, types: Any) -> None:
    more = [[1, "a", True], [[1], [2, "b"]], {"a": 0.5}, {"a": 1}, {"at": 2, "other": ["jpeg"]}]
    alike(ANNOTATIONS[name], types, [*ODD, *more, "none", {"at": 1}, {"at": 3, "lable": "x"}])


@pytest.mark.parametrize("kind", GROUPS)
def test_every_option_takes_what_the_loader_takes_for_it(kind: str, types: Any) -> None:
    for component in (c for c in OURS if c.kind == kind):
        for parameter in options(component.load()).values():
            alike(parameter.annotation, types, ODD)


def alike(annotation: Any, types: Any, tried: list[Any]) -> None:
    converter, validator = converter_for(GROUPS), types(annotation, True)
    for value in [*tried, *ends(annotation)]:
        try:
            converter.structure(deepcopy(value), annotation)
            taken = True
        except Exception:
            taken = False
        assert validator.is_valid(value) == taken, value
        # Whatever is there whole can be laid over something.
        assert types(annotation, False).is_valid(value) or not taken, value


# For what wants more than its type says, and for what takes long to make.
WITH_SENSE: dict[Any, list[Any]] = {
    (recipes.Recipe, "name"): ["a", "tiny.2", "Größe"],
    (recipes.Stage, "name"): ["a", "b 2", "Größe"],
    (recipes.Data, "split"): [[0.8, 0.1, 0.1], [1, 0, 0.0]],
    (recipes.Compared, "name"): ["", "a", "b c"],
    "model": ["unet"] * 40 + ["inpaint_unet", "dual_decoder_unet", "pix2pix_unet", "hifacegan"],
    "discriminator": ["small_patchgan"] * 5 + ["patchgan", "multiscale_patchgan"],
    ("brush_hole", "max_share"): [0.5, 1],
    ("timm", "name"): ["lion", "adan"],
}
PLAIN: dict[Any, list[Any]] = {
    bool: [True, False],
    int: [3, 3.0, 16],
    float: [0.25, 1, 7.5],
    str: ["", "a", "b.png", "Größe"],
}


def values(annotation: Any, least: int = 0) -> st.SearchStrategy[Any]:
    """What an annotation accepts."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if (of := table_of(annotation)) is not None:
        return st.deferred(lambda: component(of) if isinstance(of, str) else fields(of))
    if origin is Annotated and arguments[0] in (int, float):
        converter = converter_for(GROUPS)
        near = [*PLAIN[arguments[0]], *ends(annotation)]
        return st.sampled_from([value for value in near if taken(converter, value, annotation)])
    if origin is Annotated:
        return values(arguments[0], least=1)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(values, arguments)).map(sorted)  # most pairs are ranges
    if origin in (list, tuple):
        return st.lists(values(arguments[0]), min_size=least, max_size=2, unique_by=called)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["a", "b"]), values(arguments[1]), max_size=2)
    if arguments:
        return st.one_of([values(one) for one in arguments if one is not type(None)])
    return st.sampled_from(PLAIN[annotation])


def called(value: Any) -> str:
    """What two elements of a list have to differ in."""
    return str(value.get("name") or value.get("use") if isinstance(value, dict) else value)


def taken(converter: Any, value: Any, annotation: Any) -> bool:
    try:
        converter.structure(value, annotation)
    except Exception:
        return False
    return True


@cache
def component(kind: str) -> st.SearchStrategy[Any]:
    """A component, as a table or by its name alone."""
    found = {c.name: table(c) for c in OURS if c.kind == kind}
    return st.sampled_from(WITH_SENSE.get(kind, sorted(found))).flatmap(found.__getitem__)


def table(component: Any) -> st.SearchStrategy[Any]:
    factory = component.load()
    required, optional = {}, {}
    for option, parameter in options(factory).items():
        default = default_of(factory, option)
        some = values(parameter.annotation)
        if (component.name, option) in WITH_SENSE:
            some = st.sampled_from(WITH_SENSE[component.name, option])
        elif component.kind == "degradation" and isinstance(default, tuple):
            some = st.sampled_from([list(default), [default[0]] * 2])
        (required if default is inspect.Parameter.empty else optional)[option] = some
    names = st.sampled_from([component.name] * 8 + [f"frx:{component.name}"])
    tables = st.fixed_dictionaries({"use": names, **required}, optional=optional)
    return tables if required else tables | st.just(component.name)


@cache
def fields(class_: Any) -> st.SearchStrategy[Any]:
    """A table of a recipe's class, with the options of its component beside its own keys."""
    required, optional, kinds = {}, {}, []
    for field in attrs.fields(class_):
        if field.metadata.get("flat"):
            kinds.append(table_of(field.type))
            continue
        some = values(field.type)
        if (class_, field.name) in WITH_SENSE:
            some = st.sampled_from(WITH_SENSE[class_, field.name])
        has_default = field.default is not attrs.NOTHING or field.name in recipes.STAGE_DEFAULTS
        (optional if has_default else required)[field.name] = some
    own = st.fixed_dictionaries(required, optional=optional)
    if not kinds:
        return own
    return st.tuples(component(kinds[0]), own).map(
        lambda both: both[1] | both[0] if isinstance(both[0], dict) else both[0]
    )


@st.composite
def edited(draw: Callable[..., Any], recipe: Any, most: int) -> Any:
    """A recipe in which up to so many things were changed, taken away or added."""
    recipe = deepcopy(recipe)
    for _ in range(draw(st.integers(0, most))):
        places = [(holder, key) for holder in walk(recipe) for key in holder]
        places += [(h[k], i) for h, k in places if isinstance(h[k], list) for i in range(len(h[k]))]
        if not places:
            continue
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["put", "put", "remove", "add", "repeat", "name"])):
            case "put":
                holder[key] = deepcopy(draw(st.sampled_from(ODD)))
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, dict):
                added = draw(st.sampled_from(["sede", "name", "weight", "use", "of", "size", "lr"]))
                holder[added] = deepcopy(draw(st.sampled_from(ODD)))
            case "repeat" if isinstance(holder, list):
                holder.append(deepcopy(holder[key]))
            case "name" if isinstance(holder[key], dict) and "use" in holder[key]:
                holder[key] = holder[key]["use"]
    return recipe


# What is wrong between several keys. The loader looks for it when all else is right, and says all
# of it at once, what the schema finds as well included.
BETWEEN_KEYS = re.compile(r"must sum to 1|'.*' is there twice$|two (terms|baselines) are called")


def is_objection(line: str, recipe: Any) -> bool:
    """Whether a component itself objects to options that are of their types: it begins so."""
    place, text = said(line)
    used = recipe
    try:
        for step in re.findall(r"\w+", place):
            used = used[int(step) if isinstance(used, list) else step]
    except (KeyError, TypeError):
        return False
    name = used.get("use") if isinstance(used, dict) else used
    return isinstance(name, str) and text.startswith(f"{name.rpartition(':')[2]}: ")


def said(line: str) -> tuple[str, str]:
    """The key and the rest of a line of the loader."""
    found = re.search(r"[xy]\.toml(?::\d+)?: ([^ :]+): (.*)", line)
    assert found, line
    return found[1], found[2]


def test_a_recipe_is_accepted_exactly_when_the_loader_accepts_it(
    checker: Draft7Validator, tmp_path: Path
) -> None:
    seen: Counter[str] = Counter()

    @given(fields(recipes.Recipe).flatmap(lambda recipe: edited(recipe, 2)))
    @settings(OFTEN, max_examples=500)
    def holds(recipe: Any) -> None:
        lines = refusals(recipe, tmp_path)
        objections = [line for line in lines if is_objection(line, recipe)]
        between = [line for line in lines if BETWEEN_KEYS.match(said(line)[1])]
        if objections and len(objections) == len(lines):  # the loader stops here
            seen["objection"] += 1
            return
        marked = mistakes(checker, tomllib.loads(tomli_w.dumps(recipe)))
        assert bool(marked) == (len(lines) > len(objections) + len(between)), (marked, lines)
        seen["between keys" if lines and not marked else "refused" if lines else "taken"] += 1

    holds()
    assert seen["taken"] > 120
    assert seen["refused"] > 60
    assert seen["objection"] + seen["between keys"] < 40


# Patches -------------------------------------------------------------------------------------


@st.composite
def patches(draw: Callable[..., Any], recipe: Any) -> Any:
    """Some of what a recipe says, to be laid over another."""
    if not isinstance(recipe, dict):
        return recipe
    patch: dict[str, Any] = {}
    for key, value in recipe.items():
        how = draw(st.sampled_from(["leave", "leave", "take", "patch", "patch"]))
        if how == "take":
            patch[key] = value
        elif how == "patch" and key != "use":
            named = value
            if isinstance(value, list) and value and all(called(v) != str(v) for v in value):
                named = {called(v): {k: v[k] for k in v if k != "name"} for v in value}
            patch[key] = draw(patches(named))
    return patch


def test_what_the_loader_takes_as_a_patch_is_accepted(
    checker: Draft7Validator, tmp_path: Path
) -> None:
    seen: Counter[str] = Counter()
    (tmp_path / "base").mkdir()
    base = load(SHIPPED[[path.stem for path in SHIPPED].index("inpaint_gan")]).table()
    (tmp_path / "base.toml").write_text(tomli_w.dumps(base), encoding="utf-8")
    # Patches mostly of what is there.
    whole = st.one_of(
        st.just(base),
        fields(recipes.Recipe).map(
            lambda recipe: {k: v for k, v in recipe.items() if k != "stages"}
        ),
    )

    @given(whole.flatmap(patches).flatmap(lambda patch: edited(patch, 1)), st.booleans())
    @settings(OFTEN, max_examples=160)
    def holds(patch: Any, in_profile: bool) -> None:
        if in_profile:
            recipe = {**base, "profiles": {"some": patch}}
            lines = refusals(recipe, tmp_path, profiles=["some"])
        else:
            recipe = {"name": "mine", **patch, "extends": "base.toml"}
            lines = refusals(recipe, tmp_path)
        marked = mistakes(checker, tomllib.loads(tomli_w.dumps(recipe)))
        assert not marked or lines, marked
        seen["taken" if not lines else "refused" if marked else "seen by the loader alone"] += 1

    holds()
    assert seen["taken"] > 80
    assert seen["refused"] > 10


PATCHES = {
    # what a patch says: what is wrong with it, or None
    'model.width = 4': None,
    'model = { use = "unet", width = 4 }': None,
    'model = "unet"': None,
    'data.split.0 = 0.8': None,
    'hooks.samples.count = 4': None,
    'hooks.curves = {}': None,
    'hooks.0.count = 4': None,
    'metrics.mine = { use = "ssim" }': None,
    'metrics."frx:ssim" = {}': None,
    'metrics = ["ssim"]': None,
    'stages.a.losses.l1.weight = 3': None,
    'stages.a.optimizer.lr = 1': None,
    'stages.a.schedule = "cosine"': None,
    'degradations.one_of.of.downsample.scale = [0.5, 0.5]': None,
    'sets.more = { use = "folder", path = "a" }': None,
    'seed = "1"': "seed",
    'modle.width = 4': "",
    'model.widht = 4': "model",
    'model.width = 0': "model.width",
    'model = { use = "unet", levels = 4 }': "model",
    'model = "unett"': "model",
    'hooks.samples.cuont = 4': "hooks.samples",
    'hooks.samples.patience = 4': "hooks.samples",
    'hooks.curvse = {}': "hooks.curvse",
    'hooks = [{ count = 4 }]': "hooks.0",
    'stages.a.epohs = 4': "stages.a",
    'stages.a.losses.l1.wieght = 3': "stages.a.losses.l1",
    'stages.a.losses = [{ use = "l1", weight = 0 }]': "stages.a.losses",
    'degradations.one_of.of.downsample.scale = [0.5]': "degradations.one_of.of.downsample.scale",
    'sets.test = "synthetic_faces"': "sets",
}  # fmt: skip


@pytest.mark.parametrize("text", PATCHES)
@pytest.mark.parametrize("in_profile", [True, False])
def test_a_patch_of_each_form_is_accepted_and_a_mistake_in_it_is_marked(
    text: str, in_profile: bool, checker: Draft7Validator, tmp_path: Path
) -> None:
    patch = tomllib.loads(text)
    if in_profile:
        recipe = {**WHOLE, "profiles": {"some": patch}}
        lines, before = refusals(recipe, tmp_path, profiles=["some"]), ["profiles", "some"]
    else:
        (tmp_path / "base.toml").write_text(tomli_w.dumps(WHOLE), encoding="utf-8")
        recipe = {"name": "mine", **patch, "extends": "base.toml"}
        lines, before = refusals(recipe, tmp_path), []
    marked = [place for place, _ in mistakes(checker, recipe)]
    where = PATCHES[text]
    assert marked == ([] if where is None else [".".join([*before, where]).strip(".")])
    assert bool(lines) == bool(marked), lines


# Whole numbers, packages, the command --------------------------------------------------------


def test_a_whole_number_may_be_written_with_a_point_as_json_cannot_tell(
    checker: Draft7Validator, tmp_path: Path
) -> None:
    recipe = deepcopy(WHOLE)
    recipe["seed"] = 3.0
    recipe["metrics"] = [{"use": "fid", "features": 64.0}]
    assert mistakes(checker, recipe) == [] == refusals(recipe, tmp_path)
    read = load(tmp_path / "x.toml")
    assert repr(read.seed) == "3"
    assert repr(read.metrics[0].setting("features")) == "64"
    recipe["seed"] = 3.5
    assert mistakes(checker, recipe)[0][0] == "seed"
    assert refusals(recipe, tmp_path)


def package(folder: Path, name: str, code: str, points: str) -> None:
    """A package as pip would leave it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


THEIRS = '''
from typing import Annotated
from annotated_types import Gt

def smooth(restored, clean, *, eps: Annotated[float, Gt(0)] = 0.1, deep: bool):
    """A smooth L1, for tests."""

def l1(restored, clean, *, power: int = 1):
    """Another L1, for tests."""
'''
BROKEN = "raise RuntimeError('no CUDA')\ndef f(): 'A loss.'\n"
UNREADABLE = "def f(restored, *, of: Missing): 'A loss.'\n"


def test_other_packages_are_in_it_and_a_broken_one_is_left_out_with_a_line(tmp_path: Path) -> None:
    points = "[frx.losses]\nsmooth = Good_pack:smooth\nl1 = Good_pack:l1\n"
    package(tmp_path, "Good_pack", THEIRS, points)
    package(tmp_path, "broken", BROKEN, "[frx.losses]\nboom = broken:f\n")
    package(tmp_path, "unreadable", UNREADABLE, "[frx.losses]\nodd = unreadable:f\n")
    for name in ("twin_a", "twin_b"):
        package(tmp_path, name, THEIRS, f"[frx.losses]\ntwin = {name}:smooth\n")
    result = subprocess.run(
        [sys.executable, "-m", "frx", "schema"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    boom, odd = result.stderr.splitlines()
    assert re.search(r"leaves out the loss boom: .*RuntimeError: no CUDA", boom)
    assert re.search(r"leaves out the loss odd: .*Missing", odd)
    checker = Draft7Validator(json.loads(result.stdout))
    for loss, taken in {
        '{ use = "smooth", deep = true }': True,
        '{ use = "smooth", deep = true, eps = 0 }': False,
        '{ use = "smooth" }': False,
        '"smooth"': False,
        '{ use = "good-pack:smooth", deep = true, weight = 2 }': True,
        '{ use = "l1", power = 2 }': False,  # frx's own
        '{ use = "Good_pack:l1", power = 2 }': True,
        '"GOOD.PACK:l1"': True,
        '"boom"': False,
        '{ use = "twin", deep = true }': False,  # of two packages
        '{ use = "twin-a:twin", deep = true }': True,
    }.items():
        recipe = deepcopy(WHOLE)
        recipe["stages"][0]["losses"] = [tomllib.loads(f"loss = {loss}")["loss"]]
        assert (mistakes(checker, recipe) == []) == taken, loss


def test_the_command_writes_what_it_prints_and_says_how_to_use_it(
    frx: Any, tmp_path: Path, schema: dict[str, Any]
) -> None:
    code, printed, _ = frx("schema")
    assert code == 0
    assert json.loads(printed) == schema
    path = tmp_path / "frx.schema.json"
    code, said, _ = frx("schema", "-o", str(path))
    assert code == 0
    assert said.endswith("#:schema frx.schema.json\n")
    assert path.read_text(encoding="utf-8") == printed
    help_text = cli.get_command(click.Context(cli), "schema").get_help(click.Context(cli))
    assert "#:schema frx.schema.json" in help_text
