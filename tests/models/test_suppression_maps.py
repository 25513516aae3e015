import base64
from pathlib import Path

import cv2
import pytest
import torch

from frx.experiment import run
from frx.recipe import load
from frx_models.hifacegan import HiFaceGAN
from frx_models.suppression_maps import gates, neighbours_heard, rows

RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
count = 10
size = 64
[[degradations]]
use = "gaussian_noise"
[model]
use = "hifacegan"
width = 4
[[stages]]
name = "only"
epochs = 3
batch_size = 4
losses = [{ use = "l1" }]
[[hooks]]
use = "suppression_maps"
every_epochs = 2
count = 1
"""


def pictures(folder: Path, *overrides: str) -> list[Path]:
    (folder / "tiny.toml").write_text(RECIPE)
    recipe = load(folder / "tiny.toml", overrides=overrides)
    run(recipe, folder / "run", torch.device("cpu"))
    return sorted((folder / "run" / "suppression_maps").glob("*"))


def test_draws_clean_and_damaged_beside_five_gates(tmp_path: Path) -> None:
    drawn = pictures(tmp_path)
    assert [path.name for path in drawn] == ["only-0002.png", "only-0003.png"]
    picture = cv2.imread(str(drawn[-1]))
    assert picture.shape == (22 + 2 * (128 + 4), 6 * (128 + 4) - 4, 3)
    report = (tmp_path / "run" / "report.html").read_text()
    inside = [base64.b64encode(path.read_bytes()).decode() in report for path in drawn]
    assert inside == [False, True]
    for row in range(2):
        top = 22 + row * 132
        for column in range(1, 6):  # each has something to show
            gate = picture[top : top + 128, 132 * column : 132 * column + 128]
            assert gate.std() > 0


def test_leaves_networks_without_gates_alone(tmp_path: Path) -> None:
    assert pictures(tmp_path, "model.suppression=none", "stages.only.epochs=1") == []


def test_hears_the_mean_of_eight_taps_and_nothing_once_closed() -> None:
    net = HiFaceGAN(width=4)
    picture = torch.rand(2, 3, 64, 64)
    made: list[torch.Tensor] = []
    gates(net)[1].register_forward_hook(lambda gate, given, passed: made.append(passed))
    with neighbours_heard(net) as heard:
        net(picture)
    net(picture)
    assert [tuple(map_.shape) for map_ in heard] == [(2, 1, s, s) for s in (32, 16, 8, 4, 2)]
    by_hand = (made[0].sum(1, keepdim=True) - made[0][:, 4:5]) / 8
    torch.testing.assert_close(heard[1], by_hand)


def test_black_and_white_are_the_least_and_the_most_of_all_pictures() -> None:
    seen = [torch.zeros(1, 3, 4, 4)] * 2
    heard = [[torch.full((1, 1, 2, 2), value)] for value in (0.25, 0.75)]
    first, second = rows(seen, heard)
    assert list(first) == ["seen", "1/2: 0.25-0.75"]
    assert first["1/2: 0.25-0.75"].unique().item() == pytest.approx(0)
    assert second["1/2: 0.25-0.75"].unique().item() == pytest.approx(1)
