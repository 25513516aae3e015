"""What the tests share."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from frx import registry, source
from frx.cli import main

Frx = Callable[..., tuple[int, str, str]]


@pytest.fixture
def frx(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Frx:
    """Call `frx …` in this process; gives exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["frx", *words])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a package of one module as pip would leave it, until the test's end.

    `points` is its `entry_points.txt`; gives the folder that is on `sys.path`.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    names: list[str] = []

    def call(name: str, code: str | None, points: str, *requires: str) -> Path:
        if code is not None:
            (site / f"{name}.py").write_text(code)
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}"
        (info / "METADATA").write_text(text)
        (info / "entry_points.txt").write_text(points)
        names.append(name)
        forget()
        return site

    def forget() -> None:
        monkeypatch.syspath_prepend(str(site))  # forgets what was found there before, too
        for known in (
            registry.components,
            registry.unreadable_packages,
            registry._every_package,
            source._is_installed,
        ):
            known.cache_clear()

    yield call
    for name in names:
        sys.modules.pop(name, None)
    forget()
    sys.path[:] = [place for place in sys.path if place != str(site)]


@pytest.fixture(scope="session")
def random_embedding(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A face embedding that knows nothing, in the layout of the one that does."""
    import timm
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("edgenext_xx_small", pretrained=False)
        network.reset_classifier(512)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="session")
def random_squeezenet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image classifier that knows nothing, as torchvision would save it."""
    import torch
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.squeezenet1_1(weights=None)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The network of FID that knows nothing, in torch-fidelity's layout; 96 MB."""
    import io

    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unfilled(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args: object) -> None:
            """Keep the random weights."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Unfilled("inception-v3-compat", ["64"], nothing)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):  # torch's own would let the features fade
                torch.nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="session")
def niqe_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What niqe measures against, made of faces that frx draws instead of photographs."""
    import numpy as np

    from frx.datasets.synthetic_faces import SyntheticFaces
    from frx_metrics.niqe import features

    faces = (SyntheticFaces(size=192, seed=1)[index]["clean"] for index in range(16))
    found = torch.cat([features(torch.from_numpy(face[..., 1]).double()) for face in faces])
    found = found[found.isfinite().all(dim=1)].numpy()
    path = tmp_path_factory.mktemp("weights") / "niqe.npz"
    np.savez(path, mu_pris_param=found.mean(axis=0), cov_pris_param=np.cov(found.T))
    return str(path)
