"""Decisions as tests: what this code base does not do, and what its documents promise."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch

import frx
from frx import images
from frx.cli import COMMANDS, cli
from frx.experiment import run
from frx.recipe import load
from frx.recipe_files import profiles
from frx.registry import components

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py"))
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Damaging pictures needs no torch ----------------------------------------------------------------


def test_importing_frx_and_reading_data_parts_of_recipes_imports_no_torch() -> None:
    code = (
        "import sys, frx\n"
        "from pathlib import Path\n"
        "from frx.recipe import DATA_KINDS, load\n"
        f"for path in {[str(path) for path in RECIPES]!r}:\n"
        "    load(Path(path), kinds=DATA_KINDS)\n"
        "assert 'torch' not in sys.modules\n"
        "print('read')\n"
    )
    result = python(code)
    assert result.stdout == "read\n", result.stderr


def test_degrading_a_folder_imports_no_torch(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    images.write(tmp_path / "photos" / "a.png", photo)
    recipe = ROOT / "recipes" / "unet_faces.toml"
    words = ["degrade", str(tmp_path / "photos"), "-o", str(tmp_path / "out"), "--recipe"]
    code = (
        "import sys\n"
        "from frx.cli import cli\n"
        f"cli.main({[*words, str(recipe)]!r}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = python(code, FRX_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 0, result.stderr
    damaged = images.read_rgb(tmp_path / "out" / "corrupted" / "a.png")
    assert not np.array_equal(damaged, images.read_rgb(tmp_path / "out" / "clean" / "a.png"))


# Every recipe works ------------------------------------------------------------------------------


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 4


def tiny(path: Path) -> list[str]:
    """Overrides that leave two steps of a recipe, on pictures of 32 × 32."""
    recipe = load(path, profiles=["quick"])
    small = ["data.count=12", "data.size=32"]
    for name in recipe.sets:
        small += [f"sets.{name}.count=4", f"sets.{name}.size=32"]
    for stage in recipe.stages:
        small += [f"stages.{stage.name}.{key}" for key in ("epochs=1", "batch_size=5")]
    return small


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_trains_two_steps(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    recipe = load(path, profiles=["quick"], overrides=tiny(path))
    run(recipe, tmp_path / "run", torch.device("cpu"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 2 * len(recipe.stages)
    scored = json.loads((tmp_path / "run" / "scores.json").read_bytes())["sets"]
    assert scored["test"]["metrics"].keys() == {metric.name for metric in recipe.metrics}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_named_after_its_file_and_all_its_profiles_are_valid(path: Path) -> None:
    assert load(path).name == path.stem
    for profile in profiles(path):
        load(path, profiles=[profile])


# Names -------------------------------------------------------------------------------------------


def test_the_inventory_of_public_names() -> None:
    assert frx.__all__ == [
        "AdversarialLoss",
        "Augmentation",
        "Baseline",
        "BusyError",
        "DataError",
        "Dataset",
        "Degradation",
        "Discriminator",
        "DivergedError",
        "FrxError",
        "Hook",
        "Loss",
        "Metric",
        "Model",
        "Optimizer",
        "RecipeError",
        "ResourceError",
        "Schedule",
        "Trainer",
        "__version__",
        "hookimpl",
    ]
    assert all(hasattr(frx, name) for name in frx.__all__)


def test_one_file_a_component_named_after_it() -> None:
    ours = [component for component in components() if component.package == "frx"]
    assert len(ours) > 20
    misnamed = [c.target for c in ours if c.module.rpartition(".")[2] != c.name]
    assert misnamed == []
    of_kind = [(c.kind, c.module) for c in ours]
    assert len(set(of_kind)) == len(of_kind)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_the_list_of_commands_says_and_gives_an_example(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert COMMANDS[name] in cli.get_help(context)
    text = command.get_help(click.Context(command, info_name=f"frx {name}"))
    assert re.search(rf"Examples?:\s+frx {name} ", text)
    assert command.help
    assert command.help.split()[0] == COMMANDS[name].split()[0]


def test_every_command_module_is_in_the_list_of_commands() -> None:
    modules = {
        path.stem
        for path in (ROOT / "core" / "frx" / "commands").glob("*.py")
        if re.search(r"^def command\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert modules == set(COMMANDS)


# Source ------------------------------------------------------------------------------------------

SERIALISERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
WITHOUT_STATE = {"Generator", "PCG64", "Philox", "SFC64", "SeedSequence"}
# These look at the global generators, to see that nobody draws from them.
LOOKS_AT_GLOBAL_STATE = {"core/frx/testing/promises.py"}
VAGUE = {"base", "common", "helpers", "manager", "misc", "util", "utils"}


def dotted(node: ast.expr) -> str:
    """`np.random.rand` for the expression that says so; "" for any other."""
    if isinstance(node, ast.Attribute):
        return f"{inner}.{node.attr}" if (inner := dotted(node.value)) else ""
    return node.id if isinstance(node, ast.Name) else ""


def offences(code: str, *, may_look_at_global_state: bool = False) -> Iterator[str]:
    """What a file must not do, by line."""
    for node in ast.walk(ast.parse(code)):
        line = getattr(node, "lineno", 0)
        imported: list[str] = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
        for name in imported:
            if name.partition(".")[0] in SERIALISERS:
                yield f"{line}: imports {name}"
            if name.partition(".")[0] == "random" and not may_look_at_global_state:
                yield f"{line}: imports random"
            if re.match(r"numpy\.random\.(?!_)", name) and name.split(".")[2] not in WITHOUT_STATE:
                yield f"{line}: imports {name}"
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            if called in ("eval", "exec", "os.system", "os.popen", "yaml.load"):
                yield f"{line}: calls {called}"
            if re.fullmatch(r"(PIL\.)?Image\.open", called) and "formats" not in keywords:
                yield f"{line}: Image.open without formats"
            if called.rpartition(".")[2] in ("extract", "extractall", "unpack_archive"):
                yield f"{line}: calls {called}"
            if keywords.get("shell"):
                yield f"{line}: shell=True"
            if keywords.get("allow_pickle"):
                yield f"{line}: allow_pickle=True"
            if keywords.get("weights_only") is False:
                yield f"{line}: weights_only=False"
            if called == "torch.load" and keywords.get("weights_only") is not True:
                yield f"{line}: torch.load without weights_only=True"
            if re.match(r"(np|numpy)\.random\.", called) and not may_look_at_global_state:
                function = called.rpartition(".")[2]
                seeded = function == "default_rng" and (node.args or node.keywords)
                if function not in WITHOUT_STATE and not seeded:
                    yield f"{line}: calls {called}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_source_does_what_is_forbidden(path: Path) -> None:
    looks = relative(path) in LOOKS_AT_GLOBAL_STATE
    code = path.read_text(encoding="utf-8")
    assert list(offences(code, may_look_at_global_state=looks)) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import pickle", "imports pickle"),
        ("from pickle import loads", "imports pickle"),
        ("import random", "imports random"),
        ("from random import choice", "imports random"),
        ("from numpy.random import rand", "imports numpy.random.rand"),
        ("eval('1')", "calls eval"),
        ("exec('1')", "calls exec"),
        ("import os; os.system('ls')", "calls os.system"),
        ("subprocess.run('ls', shell=True)", "shell=True"),
        ("yaml.load('x')", "calls yaml.load"),
        ("Image.open('x')", "Image.open without formats"),
        ("archive.extractall('x')", "calls archive.extractall"),
        ("np.load('x', allow_pickle=True)", "allow_pickle=True"),
        ("load('x', weights_only=False)", "weights_only=False"),
        ("torch.load('x')", "torch.load without weights_only=True"),
        ("np.random.rand(3)", "calls np.random.rand"),
        ("numpy.random.seed(3)", "calls numpy.random.seed"),
        ("np.random.default_rng()", "calls np.random.default_rng"),
    ],
)
def test_the_forbidden_would_be_found(code: str, found: str) -> None:
    assert f"1: {found}" in list(offences(code))


@pytest.mark.parametrize(
    "code",
    [
        "network.eval()",
        "from frx.randomness import generator",
        "from torch import random",
        "np.random.default_rng(3).random()",
        "np.random.Generator(np.random.SFC64(3))",
        "torch.load('x', weights_only=True)",
        "Image.open('x', formats=FORMATS)",
    ],
)
def test_the_allowed_is_not_found(code: str) -> None:
    assert list(offences(code)) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert len(SOURCES) > 60
    names = [(path, path.parent.name if path.stem == "__init__" else path.stem) for path in SOURCES]
    assert [relative(path) for path, name in names if VAGUE & set(name.split("_"))] == []


def test_no_file_is_too_long_to_be_one_idea() -> None:
    lengths = {relative(p): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
