"""Recipes that installed packages bring are found by name, as frx's own are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from frx.errors import RecipeError
from frx.recipe import load
from frx.recipe_files import find, installed

Frx = Callable[..., tuple[int, str, str]]
Bring = Callable[..., Path]


@pytest.fixture
def bring(install: Callable[..., Path]) -> Bring:
    """Install a package that has one recipe, and must not be imported for it."""

    def call(package: str, recipe: str, text: str, target: str = "") -> Path:
        points = f"[frx.recipes]\nany = {target or f'{package}.recipes'}\n"
        site = install(package, None, points)
        path: Path = site / package / "recipes" / f"{recipe}.toml"
        path.parent.mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('imported')")
        path.write_text(text, encoding="utf-8")
        return path

    return call


EXTENDING = 'extends = "unet_faces.toml"\nname = "theirs"\nseed = 7\n'


def test_a_recipe_of_a_package_is_found_by_name(bring: Bring) -> None:
    path = bring("frx_theirs", "moire", EXTENDING)
    for name in ("moire", "moire.toml", "frx_theirs:moire", "frx-theirs:moire.toml"):
        assert find(name) == path
    assert load(find("moire")).seed == 7
    assert ("frx_theirs", path) in list(installed())
    assert "frx_theirs" not in sys.modules


def test_a_recipe_extends_one_of_a_package(bring: Bring, tmp_path: Path) -> None:
    bring("frx_theirs", "moire", EXTENDING)
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "moire.toml"\nname = "mine"\n', encoding="utf-8")
    assert (load(mine).name, load(mine).seed) == ("mine", 7)


def test_a_file_and_frxs_own_come_before_those_of_packages(
    bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = bring("frx_theirs", "unet_faces", EXTENDING)
    assert find("unet_faces").parent != theirs.parent
    assert find("frx_theirs:unet_faces") == theirs
    monkeypatch.chdir(tmp_path)
    Path("unet_faces.toml").touch()
    assert find("unet_faces.toml") == Path("unet_faces.toml")


def test_of_two_packages_one_has_to_be_chosen(bring: Bring) -> None:
    one, _ = (bring(package, "moire", EXTENDING) for package in ("frx_one", "frx_two"))
    with pytest.raises(RecipeError, match="write frx_one:moire or frx_two:moire"):
        find("moire")
    assert find("frx_one:moire") == one


def test_recipes_of_packages_go_with_the_other_plugins(
    bring: Bring, frx: Frx, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring("frx_theirs", "moire", EXTENDING)
    monkeypatch.setenv("FRX_DISABLE_PLUGINS", "1")
    code, _, complaint = frx("check", "moire")
    assert (code, "moire: no such recipe" in complaint) == (2, True)


@pytest.mark.parametrize(
    "target", ["nowhere.recipes", "frx_theirs.absent", "frx_theirs:recipes", ".recipes"]
)
def test_a_package_that_promises_recipes_and_has_none_hurts_nobody(
    target: str, bring: Bring, frx: Frx
) -> None:
    bring("frx_theirs", "moire", EXTENDING, target)
    assert not [package for package, _ in installed() if package == "frx_theirs"]
    _, _, complaint = frx("check", "unet_face")
    assert 'did you mean "unet_faces.toml"' in complaint


def test_a_misspelt_name_brings_up_those_of_packages(bring: Bring, frx: Frx) -> None:
    bring("frx_theirs", "moire", EXTENDING)
    code, _, complaint = frx("check", "moier")
    assert (code, 'did you mean "moire.toml"' in complaint) == (2, True)


def test_a_new_recipe_begins_from_one_of_a_package(bring: Bring, frx: Frx, tmp_path: Path) -> None:
    bring("frx_theirs", "moire", EXTENDING)
    path = tmp_path / "mine.toml"
    assert frx("new", "recipe", "moire", "-o", str(path))[0] == 0
    assert load(path).seed == 7
