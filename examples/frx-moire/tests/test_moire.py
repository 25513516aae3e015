from pathlib import Path

import numpy as np
import torch
from frx import testing
from frx.cli import cli

from frx_moire.banding import Banding
from frx_moire.fft import fft
from frx_moire.good_enough import GoodEnough
from frx_moire.moire import moire


def test_every_component_keeps_its_promises() -> None:
    testing.check_degradation(moire)
    testing.check_loss(fft)
    testing.check_metric(Banding())
    testing.check_hook(GoodEnough())


def test_grey_gets_stripes_as_strong_as_asked_for() -> None:
    grey = np.full((64, 64, 3), 100, np.uint8)
    striped = moire(grey, np.random.default_rng(0), strength=0.2)
    assert (striped.min(), striped.max()) == (80, 120)


def test_the_metric_is_the_amplitude_and_the_loss_spreads_a_pixel_over_all_frequencies() -> None:
    black, pixel = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    stripes = 0.1 * torch.cos(2 * torch.pi * 5 / 64 * torch.arange(64)).expand(black.shape)
    pixel[..., 7, 9] = 1
    torch.testing.assert_close(Banding()(stripes + 0.3, black), torch.tensor([25.5]))
    torch.testing.assert_close(fft(pixel, black), torch.tensor(1 / 64))


def test_the_recipe_trains_until_it_is_good_enough(tmp_path: Path) -> None:
    changes = ["data.count=20", "data.size=32", "hooks.good_enough.at_most=255"]
    words = [word for change in changes for word in ("--set", change)]
    cli.main(["run", "moire", "--out", str(tmp_path / "run"), *words], standalone_mode=False)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert ['"step": 2' in line for line in lines] == [True, True]  # trained, then validated
