"""A recipe's text: the file, those it extends, profiles and overrides, each laid over the others.

`extends = "other.toml"` takes everything but the name from a recipe that stands beside this one,
comes with frx or with an installed package: the entry points `frx.recipes` name packages whose
folders hold recipes. What else the file says is a patch, as a profile is one and `--set` one from
outside. In all of them a list of tables is addressed by name: `stages.gan.epochs = 2`,
`hooks.samples.count = 4`; a name that a list of components lacks is added to it. `[[hooks]]`
replaces the list.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

from attrs import frozen

from frx import registry
from frx.errors import RecipeError
from frx.overlay import Document
from frx.registry import nearest
from frx.strict import Mistake, shown
from frx.toml_lines import Path, key_lines, key_text, parsed

GROUP = "frx.recipes"
LONGEST_NAME = 60  # signs, of four bytes at most: two such names make a file's
NAMES_A_FILE = (
    f"may hold letters, digits, _, ., - and spaces, {LONGEST_NAME} at most, for files are named "
    "after it"
)
RECIPE_NAME = f"letters, digits, _, . and -, {LONGEST_NAME} at most"
A_PROFILE = "expected a table, such as [profiles.quick]"
SAVE_AS = "save the file as UTF-8"
# In the package itself, or beside core/ in the repository.
SHIPPED = next(
    (
        folder / "recipes"
        for folder in (FilePath(__file__).parent, FilePath(__file__).parents[2])
        if (folder / "recipes").is_dir()
    ),
    FilePath(__file__).parent / "recipes",
)


@frozen(kw_only=True)
class RecipeFile:
    """One file: its tables, its profiles, and where each key is written."""

    path: FilePath
    tables: dict[str, Any]
    profiles: dict[str, Any]
    places: dict[Path, str]


def can_name_a_file(text: str) -> bool:
    """Whether files may be called so: what a recipe names leaves no folder."""
    return len(text) <= LONGEST_NAME and re.fullmatch(r"\w[\w .-]*", text) is not None


def can_name_a_recipe(text: str) -> bool:
    """Whether a recipe, and so its run folder, may be called so: `RECIPE_NAME`."""
    return " " not in text and can_name_a_file(text)


def find(name: str, beside: FilePath = FilePath()) -> FilePath:
    """A recipe's path: as given, seen from a folder, or that of an installed one of this name.

    frx's own come before those of other packages, of which `package:name` chooses one.

    Raises:
        RecipeError: two other packages have it.
    """
    path = beside / name
    if os.path.isfile(path):  # which, unlike Path.is_file, stands any text
        return path
    package, _, short = name.rpartition(":")
    wanted = FilePath(short).name.removesuffix(".toml")
    found = [
        (owner, file)
        for owner, file in installed()
        if file.stem == wanted and registry.same_package(package or owner, owner)
    ]
    if len(found) > 1 and found[0][0] != registry.OURS:
        choices = " or ".join(f"{owner}:{wanted}" for owner, _ in found)
        raise RecipeError(f"two packages have a recipe {wanted}: write {choices}")
    return found[0][1] if found else path


def installed() -> Iterator[tuple[str, FilePath]]:
    """The recipes that are found by name, each with its package, frx's own first."""
    yield from ((registry.OURS, path) for path in sorted(SHIPPED.glob("*.toml")))
    if os.environ.get(registry.DISABLE_VARIABLE):
        return
    brought: dict[FilePath, str] = {}  # a package's old metadata can linger beside the new
    for distribution, points in registry.plugin_packages():
        for folder in (f for p in points if p.group == GROUP for f in _folders(p.value)):
            brought |= dict.fromkeys(folder.glob("*.toml"), distribution.name)
    yield from sorted((package, path) for path, package in brought.items())


def _folders(package: str) -> list[FilePath]:
    """Where the files of a package are, found without importing it or its parents."""
    top, *inner = package.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return []
    return [FilePath(folder, *inner) for folder in (spec and spec.submodule_search_locations) or ()]


def profiles(path: FilePath) -> list[str]:
    """The names of a recipe's profiles, those of the recipes that it extends first.

    Raises:
        RecipeError: a file is missing or not TOML.
    """
    return _profile_names(_files(path))


def profile_tables(path: FilePath) -> list[tuple[str, dict[str, Any]]]:
    """What the profiles of a recipe say, those of the recipes that it extends first.

    Raises:
        RecipeError: a file is missing or not TOML.
    """
    return [patch for file in _files(path) for patch in file.profiles.items()]


def read(path: FilePath, profiles: Sequence[str], overrides: Sequence[str]) -> Document:
    """The document that a recipe comes to, with what was missed; its keys are not checked yet.

    Raises:
        RecipeError: a file is missing or not TOML; an override is not KEY=VALUE.
    """
    files = _files(path)
    document = Document.of(files[0].tables, files[0].places)
    for file in files[1:]:
        document.lay(file.tables, (), file.places)
    known = _profile_names(files)
    for profile in profiles:
        if profile not in known:
            text = f"no profile {profile!r}; {nearest(profile, known)}"
            document.mistakes.append(Mistake((), text))
        for file in files:
            document.lay(file.profiles.get(profile, {}), ("profiles", profile), file.places)
    for override in overrides:
        document.lay(_override(override), (), {(): f"--set {override}"})
    return document


def _profile_names(files: Sequence[RecipeFile]) -> list[str]:
    return list(dict.fromkeys(name for file in files for name in file.profiles))


def _files(path: FilePath) -> list[RecipeFile]:
    """The recipe after those that it extends; only the recipe itself has a name."""
    files: list[RecipeFile] = []
    place = ""
    while True:
        if os.path.exists(path) and any(path.samefile(file.path) for file in files):
            raise RecipeError(f"{place}{path.name} extends itself")
        text = _text(path, place)
        tables = parsed(text, str(path))
        places = {key: f"{path}:{line}" for key, line in key_lines(text).items()}
        if files:
            tables.pop("name", None)
            places.pop(("name",), None)
        extended = tables.pop("extends", None)
        patches = _profiles(tables.pop("profiles", {}), places)
        files.insert(0, RecipeFile(path=path, tables=tables, profiles=patches, places=places))
        if extended is None:
            return files
        place = f"{places[('extends',)]}: extends: "
        if not isinstance(extended, str):
            raise RecipeError(f"{place}expected a text, got {shown(extended)}")
        path = find(extended, path.parent)


def _profiles(found: Any, places: dict[Path, str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _refused(("profiles",), places, f"{A_PROFILE}; got {shown(found)}")
    for name, patch in found.items():
        if not isinstance(patch, dict):
            raise _refused(("profiles", name), places, f"{A_PROFILE}; got {shown(patch)}")
        if not can_name_a_file(name):
            raise _refused(("profiles", name), places, NAMES_A_FILE)
    return found


def _refused(key: Path, places: dict[Path, str], text: str) -> RecipeError:
    return RecipeError(f"{places[key]}: {key_text(key)}: {text}")


def _text(path: FilePath, place: str) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        siblings = path.parent.glob("*.toml") if path.parent.is_dir() else ()
        names = [file.name for file in (*siblings, *(file for _, file in installed()))]
        hint = nearest(path.name, names)
        raise RecipeError(f"{place}{path}: no such recipe; {hint}") from None
    except IsADirectoryError:
        hint = nearest("", (file.name for file in path.glob("*.toml")))
        raise RecipeError(f"{place}{path}: a folder; name a recipe in it ({hint})") from None
    except OSError as error:
        raise RecipeError(f"{place}{shown(str(path))}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text (byte {error.start}); {SAVE_AS}") from error
    except ValueError as error:
        raise RecipeError(f"{place}{shown(str(path))}: {error}") from error
    if "\0" in text:  # UTF-16 without its mark
        raise RecipeError(f"{path}: not UTF-8 text; {SAVE_AS}")
    return text


def _override(text: str) -> dict[str, Any]:
    """`a.b=value` as a table; a value that is not TOML is taken as a text."""
    key, equals, value = text.partition("=")
    key = re.sub(r"\[(\d+)\]", r".\1", key)  # as messages call the elements of lists
    if not equals or not re.fullmatch(r"\s*[\w-]+(\.[\w-]+)*\s*", key):
        raise RecipeError(f"--set {text}: expected key=value, such as data.size=64")
    try:
        return tomllib.loads(f"{key.strip()} = {value}")
    except (ValueError, RecursionError):
        quoted = value.strip().replace("\\", "\\\\").replace('"', '\\"')
        try:
            return tomllib.loads(f'{key.strip()} = "{quoted}"')
        except ValueError as error:
            raise RecipeError(f"--set {text}: {error}") from error
