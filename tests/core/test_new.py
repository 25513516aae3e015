"""`frx new`: packages and recipes to begin with work as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from frx import recipe_files
from frx.experiment import run
from frx.recipe import load
from frx.registry import GROUPS

Frx = Callable[..., tuple[int, str, str]]
KINDS = list(GROUPS)
SYSTEMS = [path.stem for _, path in recipe_files.installed()]


def python(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


# Packages ----------------------------------------------------------------------------------------


def new_plugin(frx: Frx, name: str, *kinds: str, out: Path) -> str:
    """What `frx new plugin` prints, of packages that are new."""
    code, printed, complaint = frx(
        "new", "plugin", name, "-o", str(out), *(word for k in kinds for word in ("--kind", k))
    )
    assert (code, complaint) == (0, "")
    return printed


def install(folder: Path, site: Path) -> None:
    """The metadata that pip would write for a package in development."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["name"].replace("-", "_")
    info = site / f"{name}-{project['version']}.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    needs = "".join(f"Requires-Dist: {each}\n" for each in project["dependencies"])
    (info / "METADATA").write_text(about + needs, encoding="utf-8")
    points = [
        line
        for group, named in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{key} = {target}" for key, target in named.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")


def test_every_kinds_tests_pass_and_a_recipe_with_all_kinds_trains(
    frx: Frx, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    packages = {kind.replace("_", "-"): [kind] for kind in KINDS} | {"all": KINDS}
    folders = [tmp_path / f"frx-a-{name}" for name in packages]
    for folder, kinds in zip(folders, packages.values(), strict=True):
        new_plugin(frx, folder.name, *kinds, out=folder)
        install(folder, site)
    result = python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        *(str(folder / "tests") for folder in folders[:-1]),
        str(folders[-1] / "tests" / "test_recipe.py"),
        cwd=tmp_path,
        PYTHONPATH=os.pathsep.join([str(site), *map(str, folders)]),
        OMP_NUM_THREADS="1",
    )
    count = len(KINDS) * 3 + 1  # two of each component and one of its recipe
    assert f"{count} passed" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("name", ["x", "frx-abcdefgh-abcdefgh-abcdef"])
def test_the_code_is_as_ruff_wants_it(name: str, frx: Frx, tmp_path: Path) -> None:
    new_plugin(frx, name, *KINDS, out=tmp_path / "made")
    rules = "--extend-select=I,UP,B,SIM,RUF,PT,C4,PIE,NPY"
    for words in (["check", rules, "--no-cache", "."], ["format", "--check", "--no-cache", "."]):
        result = python("-m", "ruff", *words, cwd=tmp_path / "made")
        assert result.returncode == 0, result.stdout


def test_the_code_imports_nothing_that_frx_does_not_bring(frx: Frx, tmp_path: Path) -> None:
    new_plugin(frx, "x", *KINDS, out=tmp_path / "made")
    imported = {
        name
        for path in (tmp_path / "made" / "frx_x").glob("*.py")
        for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert imported - set(sys.stdlib_module_names) == {"annotated_types", "frx", "numpy", "torch"}


def test_a_package_of_one_kind_is_named_after_its_component(
    frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, _ = frx("new", "plugin", "old-scratches")
    assert code == 0
    written = re.findall(r"^written: (.+)$", printed, re.MULTILINE)
    assert sorted(written) == [
        "frx-old-scratches/README.md",
        "frx-old-scratches/frx_old_scratches/__init__.py",
        "frx-old-scratches/frx_old_scratches/old_scratches.py",
        "frx-old-scratches/frx_old_scratches/recipes/old_scratches.toml",
        "frx-old-scratches/pyproject.toml",
        "frx-old-scratches/tests/test_old_scratches.py",
        "frx-old-scratches/tests/test_recipe.py",
    ]
    assert printed.endswith(
        "next:\n  cd frx-old-scratches\n  pip install -e '.[test]'\n  pytest\n"
        "  frx run old_scratches --profile quick\n"
    )
    project = tomllib.loads(Path("frx-old-scratches/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["frx.degradations"] == {
        "old_scratches": "frx_old_scratches.old_scratches:old_scratches"
    }


def test_the_first_kind_has_the_name_and_the_others_their_kind_after_it(
    frx: Frx, tmp_path: Path
) -> None:
    new_plugin(frx, "scratches", "loss", "metric", "loss", out=tmp_path / "made")
    text = (tmp_path / "made" / "pyproject.toml").read_text()
    points = tomllib.loads(text)["project"]["entry-points"]
    assert points["frx.losses"] == {"scratches": "frx_scratches.scratches:scratches"}
    metric = "frx_scratches.scratches_metric:ScratchesMetric"
    assert points["frx.metrics"] == {"scratches_metric": metric}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Frx-Scratches"], "'Frx-Scratches' cannot name a package: small letters and digits"),
        (["2nd"], "'2nd' cannot name a package"),
        (["a" * 25], "24 at most"),
        (["../x"], "'../x' cannot name a package"),
        (["frx-class"], "'class' already means something in Python"),
        (["range"], "'range' already means something in Python"),
        (["np"], "'np' already means something in Python"),
        (["tensor", "--kind", "model"], "'tensor' already means something in Python"),
        (["recipes"], "'recipes' already means something"),
        (["losses"], "frx-losses is a part of frx itself"),
        (["jpeg"], "frx has a degradation jpeg itself"),
        (["scratches", "--kind", "metrik"], "no kind 'metrik'; did you mean \"metric\"?"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_is_refused_in_a_sentence(
    words: list[str], says: str, frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, complaint = frx("new", "plugin", *words)
    assert code == 2
    assert says in complaint
    assert not list(tmp_path.iterdir())


def test_what_is_there_already_is_never_overwritten(
    frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("frx-scratches").mkdir()
    Path("my_unet_faces.toml").write_text("mine")
    for words, there in (
        (["plugin", "scratches"], "frx-scratches"),
        (["recipe", "unet_faces"], "my_unet_faces.toml"),
    ):
        code, _, complaint = frx("new", *words)
        assert code == 2
        assert complaint.startswith(f"frx: {there} is there already")
    assert not list(Path("frx-scratches").iterdir())
    assert Path("my_unet_faces.toml").read_text() == "mine"


def test_writing_a_package_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from frx.cli import cli\n"
        "cli.main(['new', 'plugin', 'x'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = python("-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "frx-x" / "pyproject.toml").exists()


# Recipes -----------------------------------------------------------------------------------------

SETTING = re.compile(r"^#(?=[\w\"])", re.MULTILINE)


def new_recipe(frx: Frx, system: str, path: Path) -> str:
    code, printed, complaint = frx("new", "recipe", system, "-o", str(path))
    assert (code, complaint) == (0, "")
    assert printed == f"written: {path}\nnext:\n  frx check {path}\n  frx run {path}\n"
    return path.read_text(encoding="utf-8")


@cache
def shipped(system: str, *profiles: str) -> dict[str, Any]:
    return load(recipe_files.find(system), profiles=profiles).table()


def same(path: Path, system: str, *profiles: str) -> bool:
    """Whether a recipe says what another one says, all but its name."""
    table = load(path, profiles=profiles).table()
    assert table.pop("name") == path.stem
    return {"name": system, **table} == shipped(system, *profiles)


def test_there_are_systems() -> None:
    assert {"unet_faces", "old_photo_gan", "dual_decoder", "inpaint_gan", "hifacegan"} <= {*SYSTEMS}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_new_recipe_changes_nothing_nor_do_all_its_settings(
    system: str, frx: Frx, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    text = new_recipe(frx, system, path)
    assert same(path, system)
    path.write_text(SETTING.sub("", text), encoding="utf-8")
    assert same(path, system)
    base = recipe_files.find(system)
    if "extends" not in tomllib.loads(base.read_text("utf-8")):  # profiles are those of the others
        for profile in recipe_files.profiles(base):
            assert same(path, system, profile)
    prose = re.findall(r"^# (?!  ).*$", text, re.MULTILINE)  # no commands, which have the path
    assert max(map(len, prose)) <= 100


@pytest.mark.parametrize("system", ["inpaint_gan", "old_photo_gan", "unet_faces"])
def test_each_setting_alone_is_valid_and_changes_nothing(
    system: str, frx: Frx, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    text = new_recipe(frx, system, path)
    settings = [match.start() for match in SETTING.finditer(text)]
    assert len(settings) > 50
    for start in settings:
        path.write_text(text[:start] + text[start + 1 :], encoding="utf-8")
        named = re.match(r"#profiles\.(\w+)\.", text[start:])
        assert same(path, system, *(named.groups() if named else ()))


@pytest.mark.parametrize(
    ("system", "settings"),
    [
        ("unet_faces", ["data.count = 1000", "data.size = 128", "model.width = 64"]),
        ("unet_faces", ["stages.train.epochs = 120", "stages.train.optimizer.lr = 0.002"]),
        ("unet_faces", ['metrics = ["psnr", "ssim"]', "hooks.early_stopping.patience = 10"]),
        ("unet_faces", ["degradations.one_of.of.motion_blur.length_px = [5, 15]"]),
        ("old_photo_gan", ["stages.gan.batch_size = 4", "stages.gan.losses.l1.weight = 100.0"]),
        ("old_photo_gan", ["profiles.quick.model.width = 32"]),
        ("inpaint_gan", ["stages.gan.trainer.game.real_label = 0.9"]),
    ],
)
def test_what_people_change_is_there_with_its_value(
    system: str, settings: list[str], frx: Frx, tmp_path: Path
) -> None:
    lines = new_recipe(frx, system, tmp_path / "mine.toml").splitlines()
    for setting in settings:
        assert any(line.partition("  # ")[0].rstrip() == f"#{setting}" for line in lines), setting


def test_what_components_say_of_their_options_is_there(frx: Frx, tmp_path: Path) -> None:
    text = new_recipe(frx, "unet_faces_noise", tmp_path / "mine.toml")
    words = " ".join(text.replace("\n#", "").split())
    assert "`sigma` is the range (low, high), on the 0..1 scale" in words
    assert "epochs: How often it goes through all training pictures" in words


def test_own_photographs_are_two_lines_away(frx: Frx, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = new_recipe(frx, "unet_faces", path)
    (tmp_path / "photos").mkdir()
    path.write_text(re.sub(r"^#   (?=data\.)", "", text, flags=re.MULTILINE), encoding="utf-8")
    data = load(path).data.dataset
    assert (data.name, data.options["path"]) == ("folder", "photos/")


@pytest.mark.parametrize("system", ["unet_faces_noise", "inpaint_whole"])
def test_a_new_recipe_trains(system: str, frx: Frx, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    new_recipe(frx, system, path)
    (stage,) = load(path).stages
    small = ["data.count=12", "data.size=32", "model.width=8", f"stages.{stage.name}.batch_size=5"]
    recipe = load(path, profiles=["quick"], overrides=[*small, f"stages.{stage.name}.epochs=1"])
    run(recipe, tmp_path / "run", torch.device("cpu"))
    assert (tmp_path / "run" / "scores.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["unet_face"], "no recipe 'unet_face' to begin from; did you mean \"unet_faces\"?"),
        (["unet_faces", "-o", "unet_faces.toml"], "called like the recipe that it extends"),
        (["unet_faces", "-o", "my recipe.toml"], "recipes are called NAME.toml"),
        (["unet_faces", "-o", "mine"], "recipes are called NAME.toml"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_a_sentence(
    words: list[str], says: str, frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, complaint = frx("new", "recipe", *words)
    assert code == 2
    assert says in complaint
    assert not list(tmp_path.iterdir())
