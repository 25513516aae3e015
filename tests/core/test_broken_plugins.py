"""What broken packages do to others: nothing. And what they are told to be."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen

from frx import images, registry
from frx.cli import main
from frx.errors import RecipeError
from frx.registry import components, find

Install = Callable[..., Path]
Frx = Callable[..., tuple[int, str, str]]

GOOD = 'def charbonnier(restored, clean, *, eps: float = 1e-3):\n    """A smooth L1."""\n    return ((restored - clean) ** 2 + eps**2).sqrt().mean()\n'

LOSS = "def f(restored, clean):\n    'A loss that is its own example.'\n    return (restored - clean).abs().mean()\n"
HOOK = "from frx import hookimpl\nclass F:\n    'Listens to something or other.'\n    @hookimpl\n    def {method}: pass\n"

TINY = """\
name = "tiny"
[data]
use = "synthetic_faces"
count = 10
size = 24
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "only"
epochs = 1
batch_size = 8
losses = [{ use = "l1" }]
[[metrics]]
use = "psnr"
"""


@frozen
class Kind:
    """A way to be broken: the code, what the list says on stderr, and what using it says."""

    code: str | None
    listed: str = ""
    used: str = ""
    group: str = "losses"
    requires: tuple[str, ...] = ()


KINDS = {
    "raises_at_import": Kind(
        "raise RuntimeError('no CUDA')\n" + LOSS,
        "raises RuntimeError: no CUDA when it is imported, line 1",
        "cannot be imported: RuntimeError: no CUDA",
    ),
    "raises_if_something": Kind(
        "import os\nif os.environ:\n    raise RuntimeError('no CUDA')\n" + LOSS,
        used="cannot be imported: RuntimeError: no CUDA",
    ),
    "wrong_syntax": Kind("def (:\n", "syntax error in wrong_syntax, line 1", "SyntaxError"),
    "lacks_a_package": Kind(
        "import not_installed_xyz\n" + LOSS,
        "needs the package not_installed_xyz, not installed",
        "No module named 'not_installed_xyz'",
    ),
    "exits": Kind(
        "import sys\nsys.exit(7)\n" + LOSS,
        "calls sys.exit(7) when it is imported, line 2",
        "cannot be imported: SystemExit: 7",
    ),
    "raises_what_nobody_catches": Kind(
        "class Stop(BaseException): pass\nif True:\n    raise Stop('enough')\n" + LOSS,
        used="cannot be imported: Stop: enough",
    ),
    "wrong_arguments": Kind(
        HOOK.format(method="frx_step_end(self, nope)"),
        "its frx_step_end asks for nope; there is run",
        "hook wrong_arguments",
        group="hooks",
    ),
    "listens_to_nothing": Kind(
        HOOK.format(method="frx_step_finished(self, run)"),
        "listens to frx_step_finished, which does not exist; there is",
        "unknown hook 'frx_step_finished'",
        group="hooks",
    ),
    "plain_class_as_option": Kind(
        "class Size: pass\ndef f(restored, clean, *, size: Size = Size()):\n    'A loss.'\n",
        used="the option 'size' is annotated Size, which no recipe can write",
    ),
    "other_frx": Kind(
        LOSS,
        "is made for frx >=7, and this is frx",
        "is made for frx >=7, and this is frx",
        requires=("frx[all]>=7",),
    ),
    "stale": Kind(None, "no module 'stale'; is the package stale still there?", "stale"),
    "prints": Kind(
        "print('x' * 10_000_000)\n" + LOSS,
        used="printed 10,000,001 characters while it was imported",
    ),
    "sleeps": Kind("import time\ntime.sleep(30)\n" + LOSS),
    "torch_at_the_top": Kind(
        "import torch\ndef f(image, rng):\n    'A degradation.'\n    return image\n",
        "imports torch at its top, and data code has to do without",
        group="degradations",
    ),
    "speaks_for_all": Kind(
        "import logging, random, warnings\nwarnings.simplefilter('error')\nlogging.disable(50)\nrandom.seed(3)\n"
        + LOSS,
        used="changed how warnings of all packages are treated; that was undone",
    ),
    "no_such_name": Kind("x = 1\n", "no_such_name has no 'f'", "no_such_name"),
    "a_number": Kind("f = 3\n", used="a_number:f is a int; a class or a function is meant"),
}


def points(name: str, kind: Kind) -> str:
    attribute = "F" if kind.group == "hooks" else "f"
    return f"[frx.{kind.group}]\n{name} = {name}:{attribute}\n"


@pytest.fixture
def good(install: Install) -> Install:
    install("frx_good", GOOD, "[frx.losses]\ncharbonnier = frx_good:charbonnier\n")
    return install


@pytest.mark.parametrize("name", KINDS)
def test_a_broken_package_is_named_with_the_reason_and_the_list_goes_on(
    name: str, good: Install, frx: Frx
) -> None:
    kind = KINDS[name]
    good(name, kind.code, points(name, kind), *kind.requires)
    code, out, err = frx("list")
    assert code == 0
    assert "A smooth L1.  frx_good 1.0" in out
    named = [line for line in err.splitlines() if name in line]
    if kind.listed:
        (line,) = named
        assert line.startswith(f"frx: plugin {name} (a {kind.group[:-1].replace('sse', 'ss')} of")
        assert f"of the package {name} 1.0): {kind.listed}" in line
    else:
        assert named == []  # nothing is imported to make a list


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.used])
def test_choosing_a_broken_component_says_what_is_wrong_with_it(
    name: str, good: Install, frx: Frx, tmp_path: Path
) -> None:
    kind = KINDS[name]
    good(name, kind.code, points(name, kind), *kind.requires)
    recipe = tmp_path / "tiny.toml"
    chosen = (
        TINY.replace("l1", name) if kind.group == "losses" else f'{TINY}[[hooks]]\nuse="{name}"'
    )
    recipe.write_text(chosen)
    code, _, err = frx("check", str(recipe))
    assert kind.used in err
    assert "Traceback" not in err
    harmless = name in ("prints", "speaks_for_all")
    assert code == (0 if harmless else 2)


def test_all_of_them_together_do_not_touch_a_recipe_that_names_none(
    good: Install, tmp_path: Path
) -> None:
    for name, kind in KINDS.items():
        site = good(name, kind.code, points(name, kind), *kind.requires)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.replace("l1", "charbonnier"))
    environment = {**os.environ, "PYTHONPATH": str(site), "FRX_CACHE": str(tmp_path / "cache")}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "frx", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    run = call("run", str(recipe), "--out", "run")
    assert run.returncode == 0, run.stderr
    assert "plugin" not in run.stderr
    assert 'use = "frx_good:charbonnier"' in (tmp_path / "run" / "recipe.toml").read_text()
    without = call("--no-plugins", "list")
    assert without.returncode == 0
    assert "charbonnier" not in without.stdout
    assert without.stderr == ""
    refused = call("--no-plugins", "run", str(recipe), "--out", "other")
    assert refused.returncode == 2
    assert "no loss named 'charbonnier'" in refused.stderr
    assert "other packages' components are left out: --no-plugins" in refused.stderr


def test_a_package_whose_metadata_are_torn_is_named_and_the_list_goes_on(
    good: Install, frx: Frx
) -> None:
    torn = good("other", None, "") / "torn-1.0.dist-info"
    torn.mkdir()
    (torn / "METADATA").write_text("Metadata-Version: 2.1\nName: torn\nVersion: 1.0\n")
    (torn / "entry_points.txt").write_bytes(b"[frx.losses]\n\xff\xfe\n")
    code, out, err = frx("list", "loss")
    assert code == 0
    assert "charbonnier" in out
    assert err.count("\n") == 1
    assert "package torn: its entry points cannot be read (UnicodeDecodeError" in err


def test_importing_every_package_on_request_finds_what_its_source_does_not_show(
    good: Install, tmp_path: Path
) -> None:
    dies = "import os\nos._exit(9)\n" + LOSS
    site = good("dies", dies, "[frx.losses]\ndies = dies:f\n")
    for name in ("raises_if_something", "prints", "speaks_for_all"):
        good(name, KINDS[name].code, points(name, KINDS[name]))
    result = subprocess.run(
        [sys.executable, "-m", "frx", "list", "loss", "--check"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    said = {line.split()[2]: line for line in result.stderr.splitlines() if "plugin" in line}
    assert "ends the process that imports it, with exit code 9" in said["dies"]
    assert "RuntimeError: no CUDA" in said["raises_if_something"]
    assert "printed 10,000,001 characters" in said["prints"]
    assert "seeds a global random generator" in said["speaks_for_all"]
    assert "warnings of all packages" in said["speaks_for_all"]
    assert said.keys() == {"dies", "raises_if_something", "prints", "speaks_for_all"}
    assert "A smooth L1." in result.stdout


def test_what_a_plugin_says_for_everyone_is_undone(install: Install) -> None:
    install("speaks_for_all", KINDS["speaks_for_all"].code, "[frx.losses]\nf = speaks_for_all:f\n")
    filters, disabled = list(warnings.filters), logging.root.manager.disable
    find("loss", "f").load()
    assert list(warnings.filters) == filters
    assert logging.root.manager.disable == disabled


def test_a_filter_for_some_warnings_is_kept(install: Install) -> None:
    code = "import warnings\nwarnings.filterwarnings('ignore', message='only mine')\n" + LOSS
    install("modest", code, "[frx.losses]\nmodest = modest:f\n")
    with warnings.catch_warnings():
        find("loss", "modest").load()
        assert any(getattr(f[1], "pattern", "") == "only mine" for f in warnings.filters)


def test_a_slow_import_is_said(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "SLOW_S", 0.01)
    install("slow", "import time\ntime.sleep(0.05)\n" + LOSS, "[frx.losses]\nslow = slow:f\n")
    find("loss", "slow").load()
    assert (
        "plugin slow (a loss of the package slow 1.0): took 0 s to import"
        in capsys.readouterr().err
    )


def test_the_traceback_is_shown_on_request(
    install: Install, frx: Frx, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "raises_if_something"
    install(name, KINDS[name].code, points(name, KINDS[name]))
    assert "FRX_PLUGIN_DEBUG=1 shows the traceback" in frx("show", "loss", name)[2]
    monkeypatch.setenv("FRX_PLUGIN_DEBUG", "1")
    code, _, err = frx("show", "loss", name)
    assert code == 2
    assert 'line 3, in <module>\n    raise RuntimeError("no CUDA")' in err.replace("'", '"')


# Names that two packages have --------------------------------------------------------------------


def test_a_name_of_frx_stays_its_own_and_the_other_is_chosen_by_its_package(
    install: Install, frx: Frx
) -> None:
    install("frx_evil", LOSS, "[frx.losses]\nl1 = frx_evil:f\n")
    assert find("loss", "l1").package == "frx"
    assert find("loss", "frx-evil:l1").package == "frx_evil"  # as pip writes it
    _, _, err = frx("list", "loss")
    assert "the loss 'l1' is frx's own; that of the package frx_evil 1.0 is \"frx_evil:l1\"" in err


def test_one_name_from_two_packages_has_to_be_chosen(install: Install, frx: Frx) -> None:
    for name in ("one", "two"):
        install(name, LOSS, f"[frx.losses]\nsmooth = {name}:f\n")
    with pytest.raises(RecipeError, match='write "one:smooth" or "two:smooth"'):
        find("loss", "smooth")
    assert find("loss", "two:smooth").package == "two"
    _, _, err = frx("list")
    assert "the packages one 1.0 and two 1.0 both offer the loss 'smooth'" in err


def test_the_package_of_a_component_that_is_gone_is_named(install: Install) -> None:
    with pytest.raises(RecipeError, match="the package frx-gone is not installed; pip install"):
        find("degradation", "frx-gone:moire")


def test_what_is_installed_beside_it_changes_no_name_of_frx(install: Install) -> None:
    before = [c for c in components() if c.is_ours]
    for kind, group in registry.GROUPS.items():
        names = [c.name for c in before if c.kind == kind]
        lines = "".join(f"{name} = taken:f\n" for name in names)
        install(f"takes_{kind}", LOSS, f"[{group}]\n{lines}")
    assert [find(c.kind, c.name) for c in before] == before


# What goes wrong only when it is called ----------------------------------------------------------

CALLED = {
    "degradation_raises": (
        "degradations",
        "def f(image, rng):\n    'A degradation.'\n    return image[10_000_000]\n",
        "the degradation 'degradation_raises' of the package degradation_raises 1.0 failed: IndexError",
    ),
    "degradation_gives_floats": (
        "degradations",
        "def f(image, rng):\n    'A degradation.'\n    return image / 255\n",
        "the degradation f gives float64 [24, 24, 3] for a picture uint8 [24, 24, 3]",
    ),
    "degradation_with_an_option": (
        "degradations",
        "def f(image, rng, *, rows: int = 1):\n    'A degradation.'\n    return image[rows:]\n",
        "the degradation f gives uint8 [22, 24, 3] for a picture uint8 [24, 24, 3]",
    ),
    "degradation_gives_nothing": (
        "degradations",
        "def f(image, rng):\n    'A degradation.'\n    image[:] = 0\n",
        "the degradation f gives a NoneType for a picture uint8 [24, 24, 3]",
    ),
    "augmentation_gives_a_list": (
        "augmentations",
        "def f(pictures, rng):\n    'An augmentation.'\n    return [pictures]\n",
        "f gives a list; a dict of pictures by name is wanted",
    ),
    "loss_raises": (
        "losses",
        "def f(restored, clean):\n    'A loss.'\n    return {}['x']\n",
        "the loss 'loss_raises' of the package loss_raises 1.0 failed: KeyError: 'x' (loss_raises, line 3;",
    ),
    "loss_exits": (
        "losses",
        "def f(restored, clean):\n    'A loss.'\n    raise SystemExit(0)\n",
        "the loss 'loss_exits' of the package loss_exits 1.0 failed: SystemExit: 0",
    ),
    "loss_gives_a_map": (
        "losses",
        "def f(restored, clean):\n    'A loss.'\n    return (restored - clean).abs().mean(1)\n",
        "loss loss_gives_a_map: gives [8, 24, 24]; one number, a tensor [], is wanted",
    ),
    "metric_gives_a_mean": (
        "metrics",
        "class f:\n    'A metric.'\n    higher_is_better, protocol = True, 'x'\n    def __call__(self, restored, clean):\n        return restored.mean()\n",
        "metric metric_gives_a_mean: gives [] for 1 images; a tensor with one number an image, [1]",
    ),
    "model_gives_a_list": (
        "models",
        "from torch import nn\nclass f(nn.Conv2d):\n    'A model.'\n    def __init__(self): super().__init__(3, 3, 1)\n    def forward(self, degraded): return [super().forward(degraded)]*2 + [None]\n",
        "f gives image: list; a tensor, or a dict of tensors by name, is wanted",
    ),
    "model_halves": (
        "models",
        "from torch import nn\nclass f(nn.Conv2d):\n    'A model.'\n    def __init__(self): super().__init__(3, 3, 1, stride=2)\n    def forward(self, degraded): return super().forward(degraded)\n",
        "the model makes an image [8, 3, 12, 12] where clean is [8, 3, 24, 24]; the size has to stay",
    ),
    "optimizer_gives_nothing": (
        "optimizers",
        "def f(parameters, *, lr: float = 0.1):\n    'An optimiser.'\n",
        "the optimizer optimizer_gives_nothing gives a NoneType",
    ),
    "hook_raises": (
        "hooks",
        "from frx import hookimpl\nclass f:\n    'A hook.'\n    @hookimpl\n    def frx_step_end(self, run): 1 / 0\n",
        "the hook 'hook_raises' of the package hook_raises 1.0 failed: ZeroDivisionError: division by zero",
    ),
    "trainer_gives_a_number": (
        "trainers",
        "class f:\n    'A trainer.'\n    def __init__(self, model): self.model = model\n    def networks(self): return {'model': self.model}\n    def step(self, run, batch): return 3\n",
        "the trainer trainer_gives_a_number gives a int after a step",
    ),
}
IN_THE_RECIPE = {
    "degradations": ("gaussian_noise", "{}"),
    "augmentations": ("[model]", '[[augmentations]]\nuse = "{}"\n[model]'),
    "losses": ("l1", "{}"),
    "metrics": ("psnr", "{}"),
    "models": ('"unet"\nwidth = 4', '"{}"'),
    "optimizers": ("batch_size = 8", 'batch_size = 8\noptimizer = {{ use = "{}" }}'),
    "hooks": ("[[metrics]]", '[[hooks]]\nuse = "{}"\n[[metrics]]'),
    "trainers": ("batch_size = 8", 'batch_size = 8\ntrainer = {{ use = "{}" }}'),
}


@pytest.mark.parametrize("name", CALLED)
def test_what_a_plugin_does_wrong_when_called_is_said_in_a_sentence(
    name: str, install: Install, frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    group, source, sentence = CALLED[name]
    install(name, source, f"[frx.{group}]\n{name} = {name}:f\n")
    old, new = IN_THE_RECIPE[group]
    recipe = tmp_path / "tiny.toml"
    assert old in TINY
    recipe.write_text(TINY.replace(old, new.format(name)))
    words = ["run", str(recipe), "--out", str(tmp_path / "run"), "--device", "cpu"]
    if name == "degradation_with_an_option":
        words += ["--set", f"degradations.{name}.rows=2"]
    code, _, err = frx(*words)
    assert code == 2, err
    assert sentence in err
    assert "Traceback" not in err


def test_a_loading_process_says_it_as_well(
    install: Install, frx: Frx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    group, source, sentence = CALLED["degradation_raises"]
    install(
        "degradation_raises", source, f"[frx.{group}]\ndegradation_raises = degradation_raises:f\n"
    )
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.replace("gaussian_noise", "degradation_raises"))
    out = ("--out", str(tmp_path / "run"), "--set", "data.workers=1")
    code, _, err = frx("run", str(recipe), *out)
    assert code == 2, err
    assert sentence in err


@pytest.mark.parametrize(
    ("name", "exit_code"), [("degradation_raises", 2), ("degradation_gives_floats", 3)]
)
def test_degrading_a_folder_says_it_as_well(
    name: str,
    exit_code: int,
    install: Install,
    frx: Frx,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    group, source, sentence = CALLED[name]
    install(name, source, f"[frx.{group}]\n{name} = {name}:f\n")
    images.write(tmp_path / "photos" / "a.png", np.full((24, 24, 3), 99, np.uint8))
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.replace("gaussian_noise", name))
    words = (str(tmp_path / "photos"), "-o", str(tmp_path / "out"), "--recipe", str(recipe))
    code, _, err = frx("degrade", *words)
    assert code == exit_code, err
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize("workers", [0, 1])
def test_the_traceback_of_a_call_is_shown_on_request_once(
    workers: int,
    install: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FRX_PLUGIN_DEBUG", "1")
    group, source, _ = CALLED["degradation_raises"]
    install(
        "degradation_raises", source, f"[frx.{group}]\ndegradation_raises = degradation_raises:f\n"
    )
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.replace("gaussian_noise", "degradation_raises"))
    words = ["run", str(recipe), "--out", str(tmp_path / "run"), "--set", f"data.workers={workers}"]
    monkeypatch.setattr("sys.argv", ["frx", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capfd.readouterr().err.count("return image[10_000_000]") == 1
