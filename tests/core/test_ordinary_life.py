"""The ordinary accidents of a command line, as real processes meet them."""

from __future__ import annotations

import json
import os
import pty
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import frx as package
from frx import images

FRX = str(Path(sys.executable).with_name("frx"))
Frx = Callable[..., tuple[int, str, str]]
TINY = """\
name = "tiny"
[compute]
threads = 1
[data]
use = "synthetic_faces"
size = 24
count = 20
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "only"
epochs = 4
batch_size = 8
losses = ["l1"]
[[metrics]]
use = "psnr"
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "FRX_CACHE": cache, "PYTHONWARNINGS": ""}


def call(words: Sequence[str], environment: dict[str, str], **how: str) -> tuple[str, str]:
    """What a process that ends well prints, and what it says besides."""
    result = subprocess.run(
        words, env={**environment, **how}, capture_output=True, timeout=100, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.decode(), result.stderr.decode()


def in_terminal(
    words: Sequence[str], environment: dict[str, str], columns: int, cwd: Path
) -> tuple[int, str]:
    """Exit code and all that a terminal of so many columns gets."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color"}
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env={**environment, **size}
    ) as process:
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        return process.wait(100), b"".join(parts).decode()


def until(there: Callable[[], bool]) -> None:
    """Wait for what comes within seconds; the test's own limit catches what never does."""
    while not there():
        time.sleep(0.01)


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


# Where output goes -------------------------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_no_error(environment: dict[str, str]) -> None:
    line = f"set -o pipefail; '{FRX}' list | head -1"
    assert call(["bash", "-c", line], environment) == ("adversarial_loss\n", "")
    reading, writing = os.pipe()
    os.close(reading)  # nobody reads a line of it
    result = subprocess.run(
        [FRX, "list"], stdout=writing, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


def test_nothing_but_text_goes_into_a_file_and_no_colours_where_none_are_wanted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    printed, said = call([FRX, "list", "loss"], environment)
    assert "\x1b" not in printed + said
    assert "l1" in printed
    code, coloured = in_terminal([FRX, "list", "loss"], environment, 80, tmp_path)
    assert code == 0
    assert "\x1b[" in coloured
    without = {**environment, "NO_COLOR": "1"}
    code, plain = in_terminal([FRX, "list", "loss"], without, 80, tmp_path)
    assert code == 0
    assert plain.replace("\r\n", "\n") == printed


@pytest.mark.parametrize(
    "how", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["ascii", "C"]
)
def test_a_terminal_that_knows_few_letters_gets_what_it_can(
    how: dict[str, str], environment: dict[str, str]
) -> None:
    printed, said = call([FRX, "list", "loss"], environment, PYTHONCOERCECLOCALE="0", **how)
    assert "l1" in printed
    assert not said


def test_two_environments_and_both_ways_to_call_it_agree(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The other environment has nothing of its own but where this one's packages are."""
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(other)], check=True)
    (ours,) = {path for path in site.getsitepackages() if Path(path, "attrs").is_dir()}
    (theirs,) = other.glob("lib/*/site-packages")
    (theirs / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    script = other / "bin" / "frx"
    script.write_text(f"#!{other}/bin/python\nfrom frx.cli import main\nmain()\n")
    script.chmod(0o755)
    ways = ([FRX], [sys.executable, "-m", "frx"], [str(script)])
    lists = {call([*way, "list", "--json"], environment) for way in ways}
    assert len(lists) == 1
    rows = json.loads(lists.pop()[0])
    assert {row["version"] for row in rows if row["package"] == "frx"} == {package.__version__}


# What happens to a run ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_run(
    recipe: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run in a terminal of 40 columns without colours, from a folder where nobody may write,

    into a path of more than 300 bytes, each warning an error.
    """
    out = tmp_path_factory.mktemp("runs") / ("a" * 150) / ("é" * 75) / "run"
    words = [sys.executable, "-W", "error", "-m", "frx", "run", str(recipe)]
    without = {**environment, "NO_COLOR": "1"}
    code, said = in_terminal([*words, "--out", str(out)], without, 40, Path("/proc"))
    assert code == 0, said
    assert "Traceback" not in said
    assert "trained in" in said
    assert "\x1b[3" not in said  # a colour; the bar moves the cursor
    return out


def test_warnings_as_errors_a_narrow_terminal_and_a_long_path_hurt_no_run(plain_run: Path) -> None:
    assert len(os.fsencode(plain_run)) > 300
    assert json.loads((plain_run / "run.json").read_bytes())["finished"]
    assert weights(plain_run)


def test_a_run_that_is_suspended_and_whose_terminal_goes_away_ends_with_the_same_bytes(
    plain_run: Path, recipe: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    few_letters = {"PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    with subprocess.Popen(
        ["nohup", FRX, "run", str(recipe), "--out", str(out)],
        env={**environment, **few_letters},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,  # as a shell starts it: Ctrl-Z is for the whole group
    ) as process:
        until(lambda: (out / "log.jsonl").exists() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGHUP)
        os.killpg(process.pid, signal.SIGTSTP)
        until(lambda: state(process.pid) in ("T", "Z"))
        assert state(process.pid) == "T"
        seen = (out / "log.jsonl").stat().st_size
        time.sleep(0.2)
        assert (out / "log.jsonl").stat().st_size == seen
        assert not (out / "scores.json").exists()
        os.killpg(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert b"\x1b" not in said
    assert said.isascii()
    assert weights(out) == weights(plain_run)


def test_without_asserts_the_same_pixels_come_out(
    recipe: Path, environment: dict[str, str], frx: Frx, tmp_path: Path
) -> None:
    """Damaging pictures, which needs no torch: Python would compile all of that anew."""
    photo = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    images.write(tmp_path / "photos" / "a.png", photo)
    words = ["degrade", str(tmp_path / "photos"), "--recipe", str(recipe), "-o"]
    call([sys.executable, "-O", "-m", "frx", *words, str(tmp_path / "one")], environment)
    assert frx(*words, str(tmp_path / "two"))[0] == 0
    one, two = (tmp_path / out / "corrupted" / "a.png" for out in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def state(pid: int) -> str:
    """Of a process: T is stopped, Z ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_folder_where_nobody_may_write_and_a_name_too_long_are_a_sentence(
    recipe: Path, frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/proc")
    code, _, said = frx("run", str(recipe))
    assert code in (2, 5)
    assert "runs" in said
    monkeypatch.chdir(tmp_path)
    code, _, said = frx("run", str(recipe), "--out", "a" * 300)
    assert code in (2, 5)
    assert "a" * 80 in said
    code, _, said = frx("run", "a" * 300)
    assert (code, "Traceback" in said) == (2, False)
    assert not list(tmp_path.iterdir())
