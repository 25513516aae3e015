"""Classical methods: what each does, in a recipe, in a run and in `frx evaluate`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from frx import images
from frx.baselines.bicubic import Bicubic
from frx.baselines.navier_stokes import NavierStokes
from frx.baselines.non_local_means import NonLocalMeans
from frx.baselines.telea import Telea
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import RecipeError
from frx.experiment import run
from frx.grids import CAPTION_PX, GAP_PX
from frx.recipe import load

Picture = NDArray[np.uint8]


def psnr(one: Picture, other: Picture) -> float:
    return float(-10 * np.log10(((one / 255.0 - other / 255.0) ** 2).mean()))


def face(size: int = 64, number: int = 0) -> Picture:
    return SyntheticFaces(size=size)[number]["clean"]


# What they do ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [Telea(), NavierStokes()])
def test_a_fill_changes_the_damage_and_nothing_else(fill: Any) -> None:
    clean = face()
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 24:36] = mask[:3, 40:] = 255  # one of them at the border
    torn = np.where(mask[..., None] > 0, np.uint8(255), clean)
    mended = fill(torn, mask)
    np.testing.assert_array_equal(mended[mask == 0], clean[mask == 0])
    assert psnr(mended[mask > 0], clean[mask > 0]) > psnr(torn[mask > 0], clean[mask > 0]) + 3
    np.testing.assert_array_equal(fill(torn, np.zeros_like(mask)), torn)


@pytest.mark.parametrize("fill", [Telea(), NavierStokes()])
def test_a_fill_of_one_colour_is_that_colour(fill: Any) -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[10:20, 12:22] = 255
    orange = np.broadcast_to(np.array([250, 140, 20], np.uint8), (32, 32, 3))
    mended = fill(np.where(mask[..., None] > 0, np.uint8(0), orange), mask)
    assert np.abs(mended.astype(int) - orange).max() <= 2


def test_non_local_means_takes_noise_away() -> None:
    clean = face(96)
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    assert psnr(NonLocalMeans()(noisy), clean) > psnr(noisy, clean) + 5
    weak, strong = (psnr(NonLocalMeans(strength=h)(noisy), clean) for h in (3, 80))
    assert max(weak, strong) < psnr(NonLocalMeans()(noisy), clean)


def test_non_local_means_takes_red_for_red() -> None:
    """As OpenCV does with a picture that it read itself, blue first."""
    picture = face(48)
    theirs = cv2.fastNlMeansDenoisingColored(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), None, 9, 9)
    mine = NonLocalMeans(strength=9)(picture)
    np.testing.assert_array_equal(mine, cv2.cvtColor(theirs, cv2.COLOR_BGR2RGB))


def test_bicubic_enlarges_the_pixels_that_are_left() -> None:
    small = face(32)
    blocks = np.kron(small, np.ones((4, 4, 1), np.uint8))
    enlarged = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(Bicubic(scale=4)(blocks), enlarged)
    assert psnr(Bicubic(scale=4)(blocks), face(128)) > psnr(blocks, face(128))
    assert Bicubic(scale=64)(face(48)).shape == (48, 48, 3)


# In a recipe -------------------------------------------------------------------------------------

TINY = """\
name = "tiny"
[data]
use = "folder"
path = "photos"
size = 32
split = [0.6, 0.2, 0.2]
[sets.others]
use = "folder"
path = "more"
size = 32
[[degradations]]
use = "square_hole"
size_px = 8
[model]
use = "unet"
width = 4
[[stages]]
name = "train"
epochs = 1
batch_size = 4
losses = [{ use = "l1" }]
[[metrics]]
use = "psnr"
"""
TWO = """\
[[baselines]]
use = "telea"
[[baselines]]
use = "non_local_means"
name = "weak"
strength = 10
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path / "tiny.toml"


def refusal(tiny: Path, *more: str, added: str = "") -> list[str]:
    tiny.write_text(TINY + added)
    with pytest.raises(RecipeError) as caught:
        load(tiny, baselines=more)
    return str(caught.value).splitlines()


def test_a_recipe_names_them_in_tables_or_by_name_alone(tiny: Path) -> None:
    assert load(tiny).baselines == []
    tiny.write_text(TINY + TWO)
    loaded = load(tiny, baselines=["navier_stokes", '{ use = "bicubic", name = "x2", scale = 2 }'])
    assert [c.label for c in loaded.baselines] == ["telea", "weak", "navier_stokes", "x2"]
    listed = load(tiny, overrides=['baselines=["telea", "bicubic"]'])
    assert [c.label for c in listed.baselines] == ["telea", "bicubic"]
    stronger = load(tiny, overrides=["baselines.weak.strength=12"]).table()["baselines"]
    assert stronger == [
        {"use": "telea", "radius_px": 3.0},
        {"use": "non_local_means", "strength": 12.0, "name": "weak"},
    ]


def test_mistakes_say_where_they_are(tiny: Path) -> None:
    lines = refusal(
        tiny,
        "telae",
        '{ use = "bicubic", scale = 1 }',
        '{ use = "bicubic", scales = 2, name = "again" }',
        '{ use = "l1" }',
    )
    assert [line.partition(";")[0] for line in lines] == [
        "--baseline telae: baselines[0].use: no baseline named 'telae'",
        '--baseline { use = "bicubic", scale = 1 }: baselines[1].scale: must be greater than 1, got 1.0',
        '--baseline { use = "bicubic", scales = 2, name = "again" }: baselines[2].scales: unknown key',
        "--baseline { use = \"l1\" }: baselines[3].use: no baseline named 'l1'",
    ]
    (line,) = refusal(tiny, '{ use = "bicubic"')
    assert line.startswith('--baseline { use = "bicubic": not a TOML table: ')


def test_two_of_one_name_are_told_apart_by_the_recipe(tiny: Path) -> None:
    (line,) = refusal(tiny, "telea", added=TWO)
    assert line == (
        "--baseline telea: baselines[2]: two baselines are called 'telea'; give one a name = \"…\""
    )


@pytest.mark.parametrize("name", ["restored", "input", "image", "clean", "a,b"])
def test_a_name_is_no_other_columns(tiny: Path, name: str) -> None:
    lines = refusal(tiny, f'{{ use = "telea", name = "{name}" }}')
    assert "baselines[0].name: may hold letters" in lines[0]
    assert lines[0].endswith(f"got {name!r}")


# In a run and after it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos/, more/, tiny.toml and run/."""
    folder = tmp_path_factory.mktemp("finished")
    for number in range(20):
        images.write(folder / "photos" / f"{number}.png", face(32, number))
    for number in range(3):
        images.write(folder / "more" / f"{number}.png", face(32, 30 + number))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "tiny.toml").write_text(TINY + TWO)
        run(load(folder / "tiny.toml"), folder / "run", torch.device("cpu"))
    return folder


@pytest.fixture
def here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


def sets_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "scores.json").read_bytes())
    return found["sets"]


def test_a_run_scores_them_and_shows_their_pictures(here: Path) -> None:
    found = json.loads((here / "run/scores.json").read_bytes())
    assert found["baselines"]["weak"] == {"use": "non_local_means", "strength": 10.0}
    assert "bootstrap" in found["interval"]
    for of_set in found["sets"].values():
        telea = of_set["baselines"]["telea"]["psnr"]
        assert telea["undamaged"]["score"] == 100  # not a bit of it has changed
        low, high = telea["damaged"]["interval"]["gain"]
        assert 0 < low < telea["damaged"]["gain"] < high
    with (here / "run/scores.csv").open() as file:
        row = next(csv.DictReader(file))
    assert list(row) == [
        *("set", "image", "metric", "region", "input", "restored", "gain", "telea", "weak"),
    ]
    report = (here / "run/report.html").read_text()
    assert "<th>input</th><th>telea</th><th>weak</th><th>restored</th>" in report
    assert "percentile bootstrap of the mean over images" in report
    with Image.open(here / "run/samples/test.png") as grid:
        assert grid.size == (5 * (128 + GAP_PX) - GAP_PX, CAPTION_PX + 4 * (128 + GAP_PX))


def test_their_scores_are_those_of_the_files_on_disk(frx: Any, here: Path, tmp_path: Path) -> None:
    """The damage of `degrade`, filled by hand, has the scores that `evaluate` gives."""
    code, _, err = frx("evaluate", "run", "--data", "more", "--out", str(tmp_path / "scores"))
    assert code == 0, err
    assert frx("degrade", "more", "-o", str(tmp_path / "set"), "--recipe", "tiny.toml")[0] == 0
    by_hand = {"telea": [], "weak": []}
    for path in sorted((tmp_path / "set/clean").iterdir()):
        clean, torn = images.read_rgb(path), images.read_rgb(tmp_path / "set/corrupted" / path.name)
        mask = images.read_mask(tmp_path / "set/mask" / path.name, strict=True)
        by_hand["telea"].append(psnr(cv2.inpaint(torn, mask, 3, cv2.INPAINT_TELEA), clean))
        smooth = cv2.fastNlMeansDenoisingColored(torn[..., ::-1].copy(), None, 10, 10, 7, 21)
        by_hand["weak"].append(psnr(smooth[..., ::-1], clean))
    of_set = sets_in(tmp_path / "scores")["more"]["baselines"]
    for name, scores in by_hand.items():
        assert of_set[name]["psnr"]["whole"]["score"] == pytest.approx(np.mean(scores), abs=1e-4)


def test_several_sets_come_in_one_table(frx: Any, here: Path, tmp_path: Path) -> None:
    scores = str(tmp_path / "scores")
    words = ("--split", "val", "--split", "test", "--data", "theirs=more", "--data", "photos")
    code, out, err = frx("evaluate", "run", *words, "--baseline", "navier_stokes", "--out", scores)
    assert code == 0, err
    counts = {name: of_set["images"] for name, of_set in sets_in(Path(scores)).items()}
    assert counts == {"val": 4, "test": 4, "theirs": 3, "photos": 20}
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    assert len(rows) == 4 * 3
    headings = [cell.strip() for cell in out.splitlines()[1].split("┃")[1:-1]]
    assert headings[4:] == [
        *("input", "telea", "weak", "navier_stokes", "restored", "gain", "95 %"),
    ]
    low, high = rows[-2][-1].split("…")
    assert float(low) < float(rows[-2][-2]) < float(high)
    assert sets_in(Path(scores))["theirs"]["metrics"] == sets_in(Path("run"))["others"]["metrics"]


def test_all_sets_but_train_are_scored_without_a_choice(
    frx: Any, here: Path, tmp_path: Path
) -> None:
    code, _, err = frx("evaluate", "run", "--out", str(tmp_path))
    assert code == 0, err
    assert (tmp_path / "scores.json").read_bytes() == (here / "run/scores.json").read_bytes()
    assert sets_in(tmp_path).keys() == {"val", "test", "others"}


def test_only_data_that_are_given_are_scored(frx: Any, here: Path, tmp_path: Path) -> None:
    code, out, err = frx("evaluate", "run", "--data", "more")
    assert code == 0, err
    assert "scores and pictures are in run/evaluations/more" in out
    assert sets_in(here / "run/evaluations/more").keys() == {"more"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "more", "--data", "more/"), "another set is called 'more'; choose a name"),
        (("--split", "test", "--data", "test=more"), "has a set 'test' of its own"),
        (("--data", "a/b=more"), "expected FOLDER or NAME=FOLDER"),
        (("--data", "=more"), "expected FOLDER or NAME=FOLDER"),
        (("--split", "tset", "--data", "more"), "no set 'tset'"),
        (
            ("--set", 'degradations=[{ use = "gaussian_noise" }]'),
            "baseline telea: it is for marked damage, and in the set 'val' none is marked; leave it",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(
    frx: Any, here: Path, words: tuple[str, ...], said: str
) -> None:
    code, _, err = frx("evaluate", "run", *words)
    assert code == 2
    assert said in err


@pytest.mark.parametrize("command", [("check",), ("run", "--out", "refused")])
def test_what_could_not_be_scored_is_found_before_training(
    frx: Any, here: Path, command: tuple[str, ...]
) -> None:
    name, *more = command
    code, _, err = frx(name, "tiny.toml", *more, "--set", 'degradations=["gaussian_noise"]')
    assert code == 2
    assert "baseline telea: it is for marked damage" in err
    small = ("--set", "data.size=8", "--set", "degradations.square_hole.size_px=2")
    code, _, err = frx(name, "tiny.toml", *more, *small, "--set", "metrics.psnr.use=ssim")
    assert code == 2
    assert "metric ssim: SSIM compares windows of 11 × 11 pixels; an image of 8 × 8" in err
    assert not (here / "refused/log.jsonl").exists()
