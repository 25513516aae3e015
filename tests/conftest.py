"""What the tests share."""

from collections.abc import Callable

import pytest
import torch

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
