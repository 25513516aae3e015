"""Finding components: fast, without importing them, and undisturbed by broken packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from frx.errors import RecipeError
from frx.registry import GROUPS, components, find


def test_every_component_of_frx_is_found_and_whole() -> None:
    mine = [c for c in components() if c.package == "frx"]
    assert {c.kind for c in mine} == set(GROUPS)
    assert [f"{c.kind} {c.name}: {c.problem}" for c in mine if c.problem] == []


@pytest.mark.parametrize("c", components(), ids=lambda c: f"{c.kind}-{c.name}")
def test_the_line_in_the_list_is_short_and_says_something(c: object) -> None:
    assert 15 <= len(c.summary) <= 80
    assert c.summary.endswith(".")
    assert c.load().__doc__.strip().startswith(c.summary)  # read from source as Python reads it


def test_a_wrong_name_gets_the_nearest_and_a_wrong_kind_the_right_one() -> None:
    with pytest.raises(RecipeError, match="no model named 'unett'; did you mean \"unet\""):
        find("model", "unett")
    with pytest.raises(RecipeError, match="no model named 'psnr'; it is a metric"):
        find("model", "psnr")


def package(folder: Path, name: str, code: str, points: str) -> None:
    """A package as pip would leave it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


GOOD_LOSS = 'def charbonnier(restored, clean, *, eps: float = 1e-3):\n    """A smooth L1."""\n'
BROKEN = {
    "raises": ("raise RuntimeError('no CUDA')\ndef f(): 'A loss.'\n", None),
    "exits": ("import sys\nsys.exit(7)\ndef f(): 'A loss.'\n", None),
    "wrong_syntax": ("def (:\n", "syntax error"),
    "lacks_package": ("import not_installed_xyz\ndef f(): 'A loss.'\n", "not_installed_xyz"),
    "lacks_name": ("x = 1\n", "has no 'f'"),
}


def frx(*arguments: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "frx", *arguments],
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_broken_packages_are_listed_with_the_reason_and_stop_nobody(tmp_path: Path) -> None:
    package(tmp_path, "frx_good", GOOD_LOSS, "[frx.losses]\ncharbonnier = frx_good:charbonnier\n")
    for name, (code, _) in BROKEN.items():
        package(tmp_path, name, code, f"[frx.losses]\n{name} = {name}:f\n")
    (tmp_path / "gone-1.0.dist-info").mkdir()
    (tmp_path / "gone-1.0.dist-info" / "METADATA").write_text("Name: gone\nVersion: 1.0\n")
    points = "[frx.losses]\ngone = gone_module:f\n"
    (tmp_path / "gone-1.0.dist-info" / "entry_points.txt").write_text(points)
    result = frx("list", "loss", "--json", path=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["charbonnier"]["summary"] == "A smooth L1."
    assert rows["charbonnier"]["problem"] is None
    for name, (_, reason) in BROKEN.items():
        if reason:
            assert reason in rows[name]["problem"]
    assert "no module 'gone_module'" in rows["gone"]["problem"]


@pytest.mark.parametrize(
    ("name", "reason"), [("raises", "RuntimeError: no CUDA"), ("exits", "SystemExit: 7")]
)
def test_using_a_package_that_cannot_be_imported_says_why(
    name: str, reason: str, tmp_path: Path
) -> None:
    package(tmp_path, name, BROKEN[name][0], f"[frx.losses]\n{name} = {name}:f\n")
    result = frx("show", "loss", name, path=tmp_path)
    assert result.returncode == 2
    assert f"the loss '{name}' is installed ({name} 1.0) but cannot be imported" in result.stderr
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_one_name_from_two_packages_has_to_be_chosen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        package(tmp_path, name, GOOD_LOSS, f"[frx.losses]\nsmooth = {name}:charbonnier\n")
    both = frx("show", "loss", "smooth", path=tmp_path)
    assert both.returncode == 2
    assert 'write "one:smooth" or "two:smooth"' in both.stderr
    assert frx("show", "loss", "two:smooth", path=tmp_path).returncode == 0


def test_listing_and_help_import_no_heavy_package(tmp_path: Path) -> None:
    code = (
        "import sys; from frx.cli import cli\n"
        "for words in (['list'], ['--help'], ['run', '--help'], ['restore', '--help']):\n"
        "    cli.main(words, standalone_mode=False)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'cv2', 'numpy', 'matplotlib', 'PIL', 'rich'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "imported: []" in result.stdout
