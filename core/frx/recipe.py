"""Recipes: TOML in, a checked experiment out, or every mistake at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import attrs
from annotated_types import Ge, Gt, Interval, Len
from attrs import Factory, frozen

from frx import recipe_files
from frx.build import Use, component_field, converter_for
from frx.errors import RecipeError
from frx.overlay import Document, Table
from frx.registry import GROUPS
from frx.specs import DATA_KINDS as DATA_KINDS
from frx.strict import Mistake, mistakes_in, shown, unknown_key
from frx.toml_lines import Path, key_text

Fraction = Annotated[float, Interval(ge=0, le=1)]


@frozen(kw_only=True)
class Compute:
    """How networks are computed; "auto" is what is best on the device."""

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    compile: bool = False
    threads: Literal["auto"] | Annotated[int, Ge(1)] = "auto"
    shard: bool = False


@frozen(kw_only=True)
class Data:
    """Where images come from and how they are dealt out."""

    dataset: Annotated[Use, "dataset"] = component_field()
    split: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1)
    split_seed: int = 42
    groups_file: str | None = None
    on_bad: Literal["error", "skip"] = "error"
    cache: Literal["memory", "disk", "none"] = "memory"
    workers: Literal["auto"] | Annotated[int, Ge(0)] = "auto"


@frozen(kw_only=True)
class LossTerm:
    """weight · loss(outputs[on], batch[target]), maybe over a region: marked damage and a ring."""

    loss: Annotated[Use, "loss"] = component_field()
    name: str | None = None
    on: str = "image"
    target: str = "clean"
    weight: Annotated[float, Ge(0)] = 1.0
    region: Literal["mask"] | None = None
    ring_px: Annotated[int, Ge(0)] = 0

    @property
    def label(self) -> str:
        return self.name or self.loss.name


TAKEN_SETS = ("train", "val", "test")  # the splits of [data]

# What a baseline would be mistaken for in tables and pictures.
TAKEN_LABELS = (
    *("set", "image", "images", "metric", "region", "input", "restored", "gain"),
    *("damaged", "clean", "original", "masked", "generated", "composite", "predicted", "found"),
)


def can_be_label(text: str) -> bool:
    """Whether tables and pictures can call a baseline so."""
    return text not in TAKEN_LABELS and recipe_files.can_name_a_file(text)


@frozen(kw_only=True)
class Compared:
    """A classical method that the network is compared with, and what it is called there."""

    baseline: Annotated[Use, "baseline"] = component_field()
    name: str | None = None

    @property
    def label(self) -> str:
        return self.name or self.baseline.name


# What a stage uses where its table does not say.
STAGE_DEFAULTS = {"trainer": "supervised", "optimizer": "adam", "schedule": "constant"}


@frozen(kw_only=True)
class Stage:
    """One training: so many epochs of one trainer."""

    name: str
    epochs: Annotated[int, Ge(1)]
    batch_size: Annotated[int, Ge(1)] = 16
    trainer: Annotated[Use, "trainer"]
    losses: Annotated[list[LossTerm], Len(1)]
    optimizer: Annotated[Use, "optimizer"]
    optimizers: dict[str, Annotated[Use, "optimizer"]] = Factory(dict)
    schedule: Annotated[Use, "schedule"]
    accumulate: Annotated[int, Ge(1)] = 1
    clip_norm: Annotated[float, Gt(0)] | None = None
    skip_nonfinite: Annotated[int, Ge(0)] = 0
    validate_every_epochs: Annotated[int, Ge(1)] = 1
    start_from: Literal["best", "last"] = "best"
    validation_share: Annotated[float, Interval(gt=0, lt=1)] | None = None


@frozen(kw_only=True)
class Recipe:
    """A whole experiment."""

    name: str
    seed: Annotated[int, Ge(0)] = 42
    compute: Compute = Factory(Compute)
    data: Data
    sets: dict[str, Data] = Factory(dict)
    augmentations: list[Annotated[Use, "augmentation"]] = Factory(list)
    degradations: list[Annotated[Use, "degradation"]] = Factory(list)
    model: Annotated[Use, "model"]
    stages: Annotated[list[Stage], Len(1)]
    metrics: list[Annotated[Use, "metric"]] = Factory(list)
    baselines: list[Compared] = Factory(list)
    hooks: list[Annotated[Use, "hook"]] = Factory(list)

    def table(self) -> dict[str, Any]:
        """The recipe as plain TOML values, every default spelled out; None is left out."""
        table: dict[str, Any] = _table(self)
        return table


for _class in (Compute, Data, LossTerm, Compared, Stage, Recipe):
    attrs.resolve_types(_class, include_extras=True)


def load(
    path: FilePath,
    *,
    profiles: Sequence[str] = (),
    overrides: Sequence[str] = (),
    baselines: Sequence[str] = (),
    kinds: Iterable[str] = GROUPS,
) -> Recipe:
    """Read a recipe and what it extends, apply profiles and overrides, check everything.

    `baselines` are more of these, each a name or a TOML table such as '{ use = "telea" }'.
    Components of kinds outside `kinds` stay None, unread and unimported.

    Raises:
        RecipeError: with one line a mistake, `file:line: key: what is wrong`.
    """
    document = recipe_files.read(path, profiles, overrides)
    stages = document.tables.get("stages")
    for stage in stages if isinstance(stages, list) else ():
        for key, name in STAGE_DEFAULTS.items():
            if isinstance(stage, Table):
                stage.setdefault(key, Table(use=name))
    for text in baselines:
        _add_baseline(document, text)
    return _structure(document, path, kinds)


def _add_baseline(document: Document, text: str) -> None:
    listed = document.tables.setdefault("baselines", [])
    table: Any = text
    if text.lstrip().startswith("{"):
        try:
            table = tomllib.loads(f"baseline = {text}")["baseline"]
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"--baseline {text}: not a TOML table: {error}") from error
    if isinstance(listed, list):
        document.places[("baselines", len(listed))] = f"--baseline {text}"
        listed.append(table)


def _structure(document: Document, path: FilePath, kinds: Iterable[str]) -> Recipe:
    mistakes = list(document.mistakes)
    recipe = None
    try:
        recipe = converter_for(kinds).structure(document.tables, Recipe)
        mistakes += _beyond_types(recipe)
    except RecipeError:
        raise
    except Exception as error:
        mistakes += mistakes_in(error)
    if mistakes or recipe is None:
        unknown = {m.path for m in mistakes if m.known}
        mistakes = [_placed(m, document, unknown) if m.known else m for m in mistakes]
        lines = sorted(
            f"{document.place(m.path) or path}: "
            + (f"{key_text(m.path)}: {m.text}" if m.path else m.text)
            for m in mistakes
        )
        raise RecipeError("\n".join(sorted(lines, key=_line_number)))
    return recipe


def _placed(mistake: Mistake, document: Document, unknown: Collection[Path]) -> Mistake:
    """An unknown key, with what a recipe has besides, and the places that do have it."""
    path = mistake.path
    known = mistake.known if path[1:] else (*mistake.known, "extends", "profiles")
    others = [
        other
        for other in document.places
        if other[-1] == path[-1] and other[0] != "profiles" and other not in unknown
    ]
    return unknown_key(path, known, ", ".join(map(key_text, others[:2])))


def _line_number(text: str) -> int:
    found = re.search(r":(\d+): ", text)
    return int(found[1]) if found else 0


def _beyond_types(recipe: Recipe) -> Iterable[Mistake]:
    """What no single key shows."""
    if not recipe_files.can_name_a_recipe(recipe.name):
        text = f"may hold {recipe_files.RECIPE_NAME}, for a folder is named after it"
        yield Mistake(("name",), f"{text}; got {shown(recipe.name)}")
    named: dict[Path, str] = {("sets", name): name for name in recipe.sets}
    named |= {("stages", n, "name"): stage.name for n, stage in enumerate(recipe.stages)}
    for where, name in named.items():
        if not recipe_files.can_name_a_file(name):
            yield Mistake(where, f"{recipe_files.NAMES_A_FILE}; got {shown(name)}")
    for key, data in [
        (("data",), recipe.data),
        *((("sets", n), d) for n, d in recipe.sets.items()),
    ]:
        if abs(sum(data.split) - 1) > 1e-6:
            yield Mistake((*key, "split"), f"must sum to 1, got {list(data.split)}")
    for name in set(TAKEN_SETS) & set(recipe.sets):
        yield Mistake(("sets", name), "this name belongs to a split of [data]; choose another")
    labels = [compared.label for compared in recipe.baselines if compared.baseline]
    for number, label in enumerate(labels):
        if label in labels[:number]:
            text = f'two baselines are called {label!r}; give one a name = "…"'
            yield Mistake(("baselines", number), text)
        elif not can_be_label(label):
            text = f"{recipe_files.NAMES_A_FILE}, and it is no column of the scores"
            yield Mistake(("baselines", number, "name"), f"{text}; got {shown(label)}")
    seen: set[str] = set()
    for number, stage in enumerate(recipe.stages):
        if stage.name in seen:
            yield Mistake(("stages", number, "name"), f"{stage.name!r} is there twice")
        seen.add(stage.name)
        labels = [term.label for term in stage.losses if term.loss]
        for position, label in enumerate(labels):
            if label in labels[:position]:
                where = ("stages", number, "losses", position)
                yield Mistake(where, f'two terms are called {label!r}; give one a name = "…"')
        if all(term.weight == 0 for term in stage.losses):
            yield Mistake(("stages", number, "losses"), "every weight is 0: nothing to learn from")


def _table(value: Any) -> Any:
    if isinstance(value, Use):
        return value.table()
    if attrs.has(type(value)):
        table: dict[str, Any] = {}
        for attribute in attrs.fields(type(value)):
            item = getattr(value, attribute.name)
            if item is None:
                continue
            if attribute.metadata.get("flat"):
                table |= item.table()
            else:
                table[attribute.name] = _table(item)
        return table
    if isinstance(value, dict):
        return {key: _table(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_table(item) for item in value]
    return value
