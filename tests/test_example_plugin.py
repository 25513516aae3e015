"""A package of somebody else comes, works and goes: `examples/frx-moire`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from frx import images

EXAMPLE = Path(__file__).parents[1] / "examples" / "frx-moire"


def python(*words: str, cwd: Path, package: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python …` with no other plugin package in reach than the one in a folder."""
    paths = [str(package or ""), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "FRX_CACHE": str(cwd / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example as its author has it, and `installed/`, made from its wheel."""
    place = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, place / "frx-moire")
    build = ["-m", "hatchling", "build", "--target", "wheel", "--directory", "../wheels"]
    built = python(*build, cwd=place / "frx-moire")
    assert built.returncode == 0, built.stderr
    (wheel,) = (place / "wheels").glob("frx_moire-*.whl")
    options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--target", "installed"]
    added = python("-m", "pip", "install", *options, str(wheel), cwd=place)
    assert added.returncode == 0, added.stderr
    return place


def test_the_examples_own_tests_pass(place: Path) -> None:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "tests"]
    result = python(*words, cwd=place / "frx-moire", package=place / "installed")
    assert "4 passed" in result.stdout, result.stdout + result.stderr


def test_the_example_is_less_than_a_hundred_lines() -> None:
    sources = [*(EXAMPLE / "frx_moire").glob("*.py"), *(EXAMPLE / "tests").glob("*.py")]
    lines = [line for source in sources for line in source.read_text("utf-8").splitlines()]
    assert len(sources) >= 6
    assert len(lines) < 100


def test_what_is_installed_is_listed_trains_and_restores_and_once_removed_is_named(
    place: Path, tmp_path: Path
) -> None:
    package = tmp_path / "installed"
    shutil.copytree(place / "installed", package)

    def frx(*words: str) -> subprocess.CompletedProcess[str]:
        return python("-m", "frx", *words, cwd=tmp_path, package=package)

    listed = [line.split("  ") for line in frx("list").stdout.splitlines() if "frx-moire" in line]
    assert sorted(line[1] for line in listed) == ["banding", "fft", "good_enough", "moire"]
    (texts,) = [line[2:] for line in listed if line[1] == "moire"]
    assert [text.strip() for text in texts if text] == [
        "Coloured stripes at a random angle, as when a screen is photographed.",
        "frx-moire 0.1.0",
    ]

    small = ["data.count=20", "data.size=32", "stages.train.epochs=1"]
    changes = [word for change in small for word in ("--set", change)]
    trained = frx("run", "moire", "--out", "run", *changes)
    assert "trained in" in trained.stdout + trained.stderr
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    images.write(tmp_path / "photo.png", photo)
    restore = ["restore", "photo.png", "--whole", "--model", "run"]
    restored = frx(*restore, "-o", "restored")
    assert restored.returncode == 0, restored.stderr
    assert images.read_rgb(tmp_path / "restored" / "photo.png").shape == photo.shape

    shutil.rmtree(package)
    after = frx("list")
    assert after.returncode == 0
    assert "moire" not in after.stdout + after.stderr
    assert "moire: no such recipe" in frx("run", "moire").stderr
    again = frx(*restore, "-o", "again")  # the network that it trained is frx's own
    assert again.returncode == 0, again.stderr
    refused = frx("evaluate", "run")
    assert refused.returncode == 2
    named = [line for line in refused.stderr.splitlines() if "the package frx-moire is not" in line]
    assert len(named) == len(refused.stderr.splitlines()) == 4
    assert "no degradation named 'frx-moire:moire'" in refused.stderr
    assert not list(tmp_path.glob("cache/**/*moire*"))
