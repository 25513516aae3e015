"""Contract tests run over entry points: what is registered is tested.

A module says `KIND = "degradation"`; its tests take `use`, each component of that kind in turn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frx import images
from frx.build import Use, converter_for, default_of, options
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.recipe import Recipe, load
from frx.registry import GROUPS, Component, components
from frx.specs import COMPONENT_KINDS

# Options for components that have required ones, or whose defaults are too large for a test.
# "<name>" stands for the fixture of that name.
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("dataset", "folder"): {"path": "<photographs>", "size": 32},
    ("dataset", "paired"): {"path": "<pairs>"},
    ("dataset", "synthetic_faces"): {"size": 32, "count": 4, "identities": 2},
    ("degradation", "in_random_order"): {"of": [{"use": "gaussian_noise"}, {"use": "downsample"}]},
    ("degradation", "one_of"): {"of": [{"use": "gaussian_noise"}, {"use": "motion_blur"}]},
    ("degradation", "sometimes"): {"of": {"use": "gaussian_noise"}},
    ("discriminator", "multiscale_patchgan"): {"width": 8},
    ("discriminator", "patchgan"): {"width": 8},
    ("loss", "identity"): {"backbone": "edgeface_xxs", "weights": "<random_embedding>"},
    ("loss", "lpips"): {"network": "squeeze", "weights": "<random_squeezenet>"},
    ("loss", "perceptual"): {"network": "squeezenet1_1", "weights": "<random_squeezenet>"},
    ("metric", "fid"): {"features": 64, "weights": "<random_inception>"},
    ("metric", "identity_distance"): {"backbone": "edgeface_xxs", "weights": "<random_embedding>"},
    ("metric", "kid"): {"features": 64, "subset_size": 6, "weights": "<random_inception>"},
    ("metric", "lpips"): {"network": "squeeze", "weights": "<random_squeezenet>"},
    ("metric", "niqe"): {"weights": "<niqe_model>"},
    ("model", "dual_decoder_unet"): {"width": 4},
    ("model", "hifacegan"): {"width": 4},
    ("model", "inpaint_unet"): {"width": 8},
    ("model", "pix2pix_unet"): {"levels": 3, "width": 8},
    ("model", "timm_unet"): {"encoder": "resnet10t", "width": 4},
    ("optimizer", "timm"): {"name": "adan"},
    ("schedule", "constant_then_linear"): {"decay_epochs": 3},
    ("schedule", "step"): {"every_epochs": 2},
    ("trainer", "adversarial"): {"discriminator": "small_patchgan", "game": "vanilla", "r1": 0.1},
}

RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
count = 8
size = 24
split = [0.5, 0.25, 0.25]
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "only"
epochs = 2
batch_size = 2
losses = [{ use = "l1" }]
"""

OURS = [component for component in components() if component.package == "frx"]


def lacking(component: Component) -> str:
    """What to do about required options that the table does not give; empty: it gives them all."""
    given = OPTIONS.get((component.kind, component.name), {})
    factory = component.load()
    missing = [
        name
        for name in options(factory)
        if name not in given and default_of(factory, name) is inspect.Parameter.empty
    ]
    if not missing:
        return ""
    return (
        f"the {component.kind} {component.name} needs {', '.join(missing)}: give it an entry "
        f"in OPTIONS, tests/contracts/{Path(__file__).name}"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "use" in metafunc.fixturenames:
        found = [component for component in OURS if component.kind == metafunc.module.KIND]
        metafunc.parametrize("use", found, indirect=True, ids=lambda component: component.name)


@pytest.fixture
def use(request: pytest.FixtureRequest) -> Use:
    """A component as a recipe would choose it."""
    component: Component = request.param
    if missing := lacking(component):
        pytest.fail(missing)
    table = {
        name: request.getfixturevalue(value[1:-1]) if str(value).startswith("<") else value
        for name, value in OPTIONS.get((component.kind, component.name), {}).items()
    }
    kind = next(kind for kind, name in COMPONENT_KINDS.items() if name == component.kind)
    built: Use = converter_for(GROUPS).structure({"use": component.name, **table}, kind)
    return built


@pytest.fixture(name="lacking")
def _lacking() -> Callable[[Component], str]:
    return lacking


@pytest.fixture
def option_table() -> dict[tuple[str, str], dict[str, Any]]:
    return OPTIONS


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Two epochs of two batches."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return load(path)


@pytest.fixture
def says() -> Callable[..., None]:
    """Hold a check to refusing a wrong component with a certain sentence."""

    def call(sentence: str, check: Callable[..., None], *wrong: Any) -> None:
        with pytest.raises(AssertionError) as caught:
            check(*wrong)
        assert sentence in str(caught.value)

    return call


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Networks draw their first weights from torch's own stream."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("photographs")
    for index, name in enumerate(("train/a.png", "train/b.png", "val/a.png")):
        images.write(folder / name, SyntheticFaces(size=40)[index]["clean"])
    return str(folder)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pairs")
    for index in range(3):
        face = SyntheticFaces(size=32)[index]["clean"]
        images.write(folder / "clean" / f"{index}.png", face)
        images.write(folder / "corrupted" / f"{index}.png", face // 2)
        marked = np.repeat(face[..., :1] > 128, 3, axis=2)
        images.write(folder / "mask" / f"{index}.png", np.where(marked, 255, 0).astype(np.uint8))
    return str(folder)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
