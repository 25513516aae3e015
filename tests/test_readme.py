"""What the README says is what happens."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from frx.recipe import load

Frx = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    command.strip()
    for line in re.findall(r"^    (?:\$ )?(.*frx .*)$", README, re.MULTILINE)
    for command in line.split("&&")
    if command.strip().startswith("frx ")
]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def test_it_is_short_and_whole() -> None:
    assert len(README.splitlines()) <= 150
    assert "@@" not in README
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_command_exists_with_its_options() -> None:
    assert len(COMMANDS) >= 6
    from frx.cli import cli

    for command in COMMANDS:
        words = shlex.split(command)[1:]
        name = words[0]
        if name.startswith("-"):
            continue
        found = cli.get_command(None, name)  # type: ignore[arg-type]
        assert found is not None, command
        known = {option for parameter in found.params for option in parameter.opts}
        assert {w for w in words if w.startswith("-")} <= known, command


def test_the_first_command_runs_as_it_stands_only_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frx: Frx
) -> None:
    first = next(shlex.split(c) for c in COMMANDS if c.startswith("frx run"))
    monkeypatch.chdir(ROOT)
    smaller = ("data.count=20", "stages.gan.epochs=1", f"--out={tmp_path / 'run'}")
    code, out, err = frx(*first[1:], "--set", smaller[0], "--set", smaller[1], smaller[2])
    assert code == 0, err
    assert "psnr" in out
    assert (tmp_path / "run" / "samples" / "test.png").exists()


def test_its_recipe_is_whole_and_its_wrong_one_is_refused_in_these_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frx: Frx
) -> None:
    (tmp_path / "my_first.toml").write_text(block("toml"))
    assert load(tmp_path / "my_first.toml").name == "my_first"
    monkeypatch.chdir(tmp_path)
    wrong = re.search(r"^    \$ (frx run my_first.*)\n((?:    .*\n)+)", README, re.MULTILINE)
    assert wrong
    code, _, err = frx(*shlex.split(wrong[1])[1:])
    assert code == 2
    assert err.splitlines() == [line.removeprefix("    ") for line in wrong[2].splitlines()]


def test_its_plugin_is_one_file_and_one_line(tmp_path: Path) -> None:
    """The plugin of the README, installed as pip leaves a package, trains."""
    (tmp_path / "my_losses.py").write_text(block("python"))
    points = tomllib.loads(re.findall(r"```toml\n(.*?)```", README, re.DOTALL)[1])
    ((name, target),) = points["project"]["entry-points"]["frx.losses"].items()
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[frx.losses]\n{name} = {target}\n")
    recipe = tmp_path / "my_first.toml"
    recipe.write_text(block("toml").replace('use = "l1"', f'use = "{name}", eps = 0.01'))
    small = ["data.count=20", "data.size=24", "model.width=4", "stages.train.epochs=1"]
    words = [word for setting in small for word in ("--set", setting)]
    result = subprocess.run(
        [sys.executable, "-m", "frx", "run", str(recipe), *words, "--out", str(tmp_path / "run")],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert name in (tmp_path / "run" / "log.jsonl").read_text()


def test_its_list_is_what_frx_lists(frx: Frx) -> None:
    shown = re.search(r"    \$ frx list\n((?:    .*\n)+)", README)
    assert shown
    _, out, _ = frx("list")
    for line in shown[1].splitlines():
        if line.strip() != "…":
            assert line.removeprefix("    ").rstrip() in out
