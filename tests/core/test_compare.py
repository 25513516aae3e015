"""Runs side by side, as `frx compare` shows them: tables, files, faces, and what it refuses."""

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from frx import experiment, images
from frx.comparing.comparison import compare
from frx.comparing.page import markdown
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError, RecipeError
from frx.recipe import load

RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 24
count = 36
split = [0.4, 0.1, 0.5]
[[degradations]]
use = "gaussian_noise"
sigma = [0.005, 0.2]
[model]
use = "unet"
width = 4
predict = "correction"
[[stages]]
name = "train"
epochs = 6
batch_size = 4
optimizer = { use = "adam", lr = 5e-3 }
losses = [{ use = "l1" }]
[[metrics]]
use = "psnr"
[[metrics]]
use = "ssim"
"""
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, "good" and "poor", of which the second has hardly learned."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.toml").write_text(RECIPE)
    experiment.run(load(folder / "tiny.toml"), folder / "good", CPU)
    less = ["stages.train.epochs=1", "stages.train.optimizer.lr=2e-3"]
    experiment.run(load(folder / "tiny.toml", overrides=less), folder / "poor", CPU)
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that one stands in, with copies of both."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path / "runs"


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """What a page has: its text, its tags, and its pictures with their captions' words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.pictures: list[tuple[str, np.ndarray]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        about = dict(attrs)
        if tag == "img":
            kind, _, data = str(about["src"]).partition(",")
            assert kind == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
                self.pictures.append((str(about["alt"]), np.asarray(picture)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


# Two real runs ------------------------------------------------------------------------------------


def test_the_table_has_the_input_first_then_the_runs_and_marks_the_best(frx, runs: Path) -> None:
    code, out, err = frx("compare", "poor", "good", "-o", "out", "--pictures", "2")
    assert code == 0, err
    assert "test: 19 images" in out
    table = [line.split() for line in out.splitlines() if line.startswith("│")]
    assert [row[1] for row in table[:3]] == ["input", "poor", "good"]
    scored = {
        name: json.loads(Path(name, "scores.json").read_bytes())["sets"]["test"]["metrics"]
        for name in ("poor", "good")
    }
    written = lines(runs / "out" / "compare.csv")
    assert [(row["metric"], row["run"]) for row in written] == [
        (metric, run) for metric in ("psnr", "ssim") for run in ("input", "poor", "good")
    ]
    for row in written:
        run, what = ("good", "input") if row["run"] == "input" else (row["run"], "restored")
        expected = scored[run][row["metric"]]["whole"][what]
        assert float(row["mean"]) == pytest.approx(expected, rel=1e-4)
        assert row["images"] == "19"
        other = "≈" if row["metric"] == "psnr" else ""  # good blurs what hardly has any noise
        assert row["mark"] == ("best" if row["run"] == "good" else other)
    pairs = {
        (row["metric"], row["first"], row["second"]): row
        for row in lines(runs / "out" / "differences.csv")
    }
    assert len(pairs) == 6
    assert pairs["psnr", "good", "poor"]["better"] == ""
    pair = pairs["ssim", "good", "poor"]
    assert pair["better"] == "good"
    assert float(pair["low"]) < float(pair["difference"]) < float(pair["high"])
    assert float(pair["p"]) < 0.05
    assert re.search(r"ssim ↑ +│ good − poor +│.*│ better ", out)
    assert re.search(r"psnr ↑ +│ good − poor +│.*│ ≈ ", out)
    assert "are in out" in out


def test_markdown_is_a_table_of_means_with_the_best_in_bold_and_one_of_differences(
    frx, runs: Path
) -> None:
    frx("compare", "poor", "good", "--pictures", "0", "--metric", "ssim")
    text = (runs / "compare" / "compare.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[:2] == ["|  | ssim ↑ |", "| --- | ---: |"]
    assert rows[4].startswith("| good | **")
    assert rows[5].startswith("| metric | difference | mean |")
    assert rows[-1].startswith("| ssim ↑ | good − poor | +")
    assert rows[-1].endswith("| better |")
    assert "Wilcoxon" in text
    assert "psnr" not in text


def test_the_page_shows_the_same_faces_as_each_run_restores_them(frx, runs: Path) -> None:
    code, _, err = frx("compare", "poor", "good", "--pictures", "2", "--device", "cpu")
    assert code == 0, err
    page = Page(runs / "compare" / "compare.html")
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.text.index("Where good loses most to poor") < page.text.index("Where good wins")
    scores = {
        (run, row["image"]): float(row["restored"])
        for run in ("poor", "good")
        for row in lines(runs / run / "scores.csv")
        if (row["set"], row["metric"]) == ("test", "psnr")
    }
    names = {name for _, name in scores}
    lead = {name: scores["good", name] - scores["poor", name] for name in names}
    lost, won = ([n for n in names if sign * lead[n] > 0] for sign in (-1, 1))
    assert min(len(lost), len(won)) >= 2
    shown = [*sorted(lost, key=lead.__getitem__)[:2], *sorted(won, key=lambda n: -lead[n])[:2]]
    captions = ("damaged", "poor", "good", "clean")
    assert [alt for alt, _ in page.pictures] == [f"{n}, {c}" for n in shown for c in captions]
    assert f"On {len(won)} of 19 faces good has the better psnr" in page.text
    faces = SyntheticFaces(size=24, count=36)
    for start, name in enumerate(shown):
        pictures = [picture for _, picture in page.pictures[4 * start : 4 * start + 4]]
        clean = pictures[3].astype(float)
        assert np.array_equal(pictures[3], faces[int(name[-6:])]["clean"])
        for run, picture in zip(("poor", "good"), pictures[1:3], strict=True):
            psnr = 10 * np.log10(255**2 / ((picture - clean) ** 2).mean())
            assert psnr == pytest.approx(scores[run, name], abs=0.1)  # a picture has whole levels


def test_a_single_run_shows_its_worst_and_its_best_faces(frx, runs: Path) -> None:
    code, _, err = frx("compare", "good", "--pictures", "3", "--metric", "ssim")
    assert code == 0, err
    page = Page(runs / "compare" / "compare.html")
    own = {
        row["image"]: float(row["restored"])
        for row in lines(runs / "good" / "scores.csv")
        if (row["set"], row["metric"]) == ("test", "ssim")
    }
    order = sorted(own, key=own.__getitem__)
    shown = [alt.partition(",")[0] for alt, _ in page.pictures[::3]]
    assert shown == [*order[:3], *order[:-4:-1]]
    assert page.text.index("Worst faces of good") < page.text.index("Best faces of good")


def test_names_of_folders_are_texts_in_page_and_markdown_not_markup(frx, runs: Path) -> None:
    shutil.copytree("good", "a|<i>b&_")
    code, out, err = frx("compare", "a|<i>b&_", "poor", "--pictures", "1")
    assert code == 0, err
    assert "poor − a|<i>b&_" in out
    page = Page(runs / "compare" / "compare.html")
    assert "i" not in page.tags
    assert "poor − a|<i>b&_" in page.text
    text = (runs / "compare" / "compare.md").read_text(encoding="utf-8")
    assert r"| a\|\<i\>b\&\_ | " in text


def test_the_tables_need_no_torch(runs: Path) -> None:
    words = ["compare", "good", "poor", "--pictures", "0"]
    code = (
        "import sys\n"
        "from frx.cli import cli\n"
        f"cli.main({words!r}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_runs_of_another_seed_are_refused_and_compared_once_scored_on_the_same_damage(
    frx, runs: Path
) -> None:
    for run, seed in (("good", 7), ("poor", 8)):
        frx("evaluate", run, "--split", "test", "--set", f"seed={seed}")
    code, _, err = frx("compare", "good", "poor", "--evaluation", "test", "--pictures", "0")
    assert code == 3
    assert "good and poor did not damage the images of test alike: psnr of the input" in err
    assert "`frx evaluate RUN" in err
    assert len(err.splitlines()) == 1
    frx("evaluate", "poor", "--split", "test", "--set", "seed=7")
    code, out, err = frx("compare", "good", "poor", "--evaluation", "test", "--pictures", "0")
    assert code == 0, err
    assert re.search(r"ssim ↑ +│ poor − good +│.*│ worse ", out)


def test_what_evaluate_scored_is_pictured_too(frx, runs: Path) -> None:
    images.write("others/a.png", SyntheticFaces(size=40)[3]["clean"])
    images.write("others/b.png", SyntheticFaces(size=40)[4]["clean"])
    for run in ("good", "poor"):
        frx("evaluate", run, "--split", "test", "--data", "more=others", "--set", "seed=7",
            "--out", f"{run}/evaluations/both")  # fmt: skip
    for name in ("test", "more"):
        words = ("compare", "good", "poor", "--evaluation", "both", "--set", name)
        code, _, err = frx(*words, "--pictures", "1")
        assert (code, err) == (0, "")
        assert len(Page(runs / "compare" / "compare.html").pictures) == 8


# Pictures that cannot be made --------------------------------------------------------------------


def spoil_seed(run: Path, seed: int = 43) -> None:
    path = run / "recipe.toml"
    path.write_text(path.read_text().replace("\nseed = 42", f"\nseed = {seed}"))


def spoil_model(run: Path) -> None:
    shutil.rmtree(run / "model")


def spoil_data(run: Path) -> None:
    path = run / "recipe.toml"
    text = path.read_text().replace('use = "synthetic_faces"', 'use = "folder"\npath = "gone"')
    path.write_text(text.replace("count = 36\nseed = 0\n", ""))


def spoil_recipe(run: Path) -> None:
    (run / "recipe.toml").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_seed, "as it was when it was scored: the input's psnr is"),
        (spoil_model, "model.json is missing"),
        (spoil_data, "gone"),
        (spoil_recipe, "good holds scores, but no run that could restore anything"),
    ],
)
def test_where_faces_cannot_be_made_again_the_page_says_why(
    frx, runs: Path, spoil: Any, reason: str
) -> None:
    spoil(runs / "good")
    code, out, err = frx("compare", "good", "poor")
    assert code == 0, err
    assert reason in err
    page = Page(runs / "compare" / "compare.html")
    assert f"There are no pictures: {err.removeprefix('no pictures: ').strip()}" in page.text
    assert not page.pictures
    assert "poor − good" in out


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["good", "nowhere"], 3, "nowhere: there is no such folder"),
        (["good", "empty"], 3, "empty: no run folder, for it has no scores.json"),
        (["good", "begun"], 3, "begun: an unfinished run, without scores.json; the same `frx run`"),
        (["good", "torn"], 3, "torn: scores.csv and scores.json cannot be read"),
        (["good", "poor", "./good"], 2, "a run is given twice"),
        (
            ["good", "poor", "--metric", "pnsr"],
            2,
            '--metric pnsr: not a metric that every run has; did you mean "psnr"?',
        ),
        (["good", "poor", "--set", "tset"], 2, "good: no set 'tset'; did you mean \"test\"?"),
        (["good", "poor", "--evaluation", "old"], 3, "good: no evaluation 'old'; has: none"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    frx, runs: Path, words: list[str], code: int, text: str
) -> None:
    (runs / "empty").mkdir()
    (runs / "begun").mkdir()
    (runs / "begun" / "recipe.toml").write_text(RECIPE)
    shutil.copytree("good", "torn")
    with Path("torn", "scores.csv").open("a") as file:
        file.write("test,face-000001,psnr,whole,high,higher\n")
    found, out, err = frx("compare", *words)
    assert (found, out) == (code, "")
    assert text in err
    assert len(err.splitlines()) == 1
    assert not Path("compare").exists()


# Scores written by hand --------------------------------------------------------------------------

Table = Mapping[str, Sequence[float]]


def write_scores(
    folder: Path,
    metrics: Mapping[str, Table],
    higher: bool = True,
    protocol: str = "as ever",
    name: str = "test",
    first: int = 0,
    more: Mapping[str, Any] | None = None,
    groups: int | None = None,
) -> Path:
    """A folder as `frx evaluate` leaves it; `metrics` has columns of numbers, one an image."""
    folder.mkdir(parents=True)
    labels = list(dict.fromkeys(what for table in metrics.values() for what in table))
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "image", "metric", "region", *labels])
        for metric, table in metrics.items():
            for number in range(len(table["restored"])):
                scores = [table[what][number] if what in table else "" for what in labels]
                writer.writerow([name, f"{first + number}.png", metric, "whole", *scores])
    about = {"higher_is_better": higher, "protocol": protocol}
    found = {"metrics": dict.fromkeys(metrics, about) | dict(more or {})}
    if groups is not None:
        found["groups"] = groups
    (folder / "scores.json").write_text(json.dumps({"sets": {name: found}}))
    return folder


RNG = np.random.default_rng(0)
INPUT = RNG.normal(20, 2, 30)
GAIN = RNG.normal(2, 0.5, 30)


def test_baselines_that_all_have_are_rows_and_one_that_differs_is_left_out(tmp_path: Path) -> None:
    beside = {"input": INPUT, "gain": GAIN, "telea": INPUT + 5}
    a = write_scores(tmp_path / "a", {"psnr": {**beside, "restored": INPUT + GAIN, "blur": INPUT}})
    b = write_scores(tmp_path / "b", {"psnr": {**beside, "restored": INPUT + 1, "blur": INPUT + 1}})
    found = compare([a, b])
    assert found.rows == ("input", "telea", "a", "b")
    assert [found.columns[0].mark(row) for row in range(4)] == ["", "best", "", ""]
    assert found.notes == ["blur is left out, as its scores beside the runs differ."]
    text = markdown(found)
    assert "| a − telea |" in text
    assert "| telea − input |" not in text


def test_what_is_not_significantly_worse_than_the_best_is_marked_so(tmp_path: Path) -> None:
    distance = {"input": INPUT, "restored": INPUT - 3}
    noise = RNG.normal(0, 0.1, 30)
    noise -= noise.mean() - 0.001
    runs = [
        write_scores(tmp_path / "a", {"lpips": distance}, higher=False),
        write_scores(tmp_path / "b", {"lpips": {**distance, "restored": INPUT - 3 + noise}}, False),
        write_scores(tmp_path / "c", {"lpips": {**distance, "restored": INPUT - 2}}, False),
    ]
    found = compare(runs)
    (column,) = found.columns
    assert [column.mark(row) for row in range(4)] == ["", "best", "≈", ""]
    better = {(d.first, d.second): column.better(d) for d in column.differences}
    assert better == {(1, 0): 1, (2, 0): 2, (3, 0): 3, (2, 1): None, (3, 1): 1, (3, 2): 2}
    text = markdown(found)
    assert "| b − a | +0.0" in text
    assert "| ≈ |" in text


def test_with_few_images_nothing_is_called_better(tmp_path: Path) -> None:
    a = write_scores(tmp_path / "a", {"psnr": {"input": INPUT[:5], "restored": INPUT[:5] + 9}})
    found = compare([a])
    assert [d.p for d in found.columns[0].differences] == [None]
    assert found.columns[0].mark(0) == "≈"
    text = markdown(found)
    assert "p is not given where fewer than 6 images differ" in text
    assert "| better |" not in text


def test_images_that_only_some_have_are_left_out_and_counted(tmp_path: Path) -> None:
    a = write_scores(tmp_path / "a", {"psnr": {"input": INPUT, "restored": INPUT + 1}})
    part = INPUT[4:]
    fewer = {"psnr": {"input": part, "restored": part}}
    b = write_scores(tmp_path / "b", fewer, first=4)
    found = compare([a, b])
    assert found.images == 26
    assert found.columns[0].means[0] == pytest.approx(part.mean())
    assert found.notes == ["4 images are left out, as not every run has scored them."]
    c = write_scores(tmp_path / "c", fewer, first=100)
    with pytest.raises(DataError, match="the runs have no image of test in common; score all on"):
        compare([a, c])


def test_one_metric_that_agrees_on_the_input_is_proof_of_the_same_damage(tmp_path: Path) -> None:
    psnr = {"psnr": {"input": INPUT, "restored": INPUT}}
    a = write_scores(tmp_path / "a", {"lpips": {"input": INPUT, "restored": INPUT}, **psnr})
    other = {"input": INPUT * 1.001, "restored": INPUT}  # as another device may measure it
    assert compare([a, write_scores(tmp_path / "b", {"lpips": other, **psnr})]).images == 30
    with pytest.raises(DataError, match=r"lpips of the input 0\.png is"):
        compare([a, write_scores(tmp_path / "c", {"lpips": other})])


def test_a_metric_that_was_measured_differently_is_left_out(tmp_path: Path) -> None:
    table = {"psnr": {"input": INPUT, "restored": INPUT}}
    a = write_scores(tmp_path / "a", table, protocol="RGB")
    b = write_scores(tmp_path / "b", table, protocol="luma")
    with pytest.raises(DataError, match="no metric of single images in common that they measure"):
        compare([a, b])


def test_metrics_of_whole_sets_stand_in_the_table_untested(tmp_path: Path) -> None:
    table = {"psnr": {"input": INPUT, "restored": INPUT + 1}}

    def fid(score: float) -> dict[str, Any]:
        whole = {"input": 80.0, "restored": score, "gain": 80.0 - score}
        return {"fid": {"higher_is_better": False, "protocol": "Inception", "whole": whole}}

    a = write_scores(tmp_path / "a", table, more=fid(60.0))
    b = write_scores(tmp_path / "b", table, more=fid(50.0))
    found = compare([a, b], metrics=["fid", "psnr"])
    column = found.columns[0]
    assert (column.metric, column.means) == ("fid", [80.0, 60.0, 50.0])
    assert [column.mark(row) for row in range(3)] == ["", "", ""]
    assert found.leading is found.columns[1]
    assert found.notes == ["fid: of the whole set, so no difference can be tested."]
    fewer = {"psnr": {what: scores[:20] for what, scores in table["psnr"].items()}}
    c = write_scores(tmp_path / "c", fewer, more=fid(50.0))
    assert [column.metric for column in compare([a, c]).columns] == ["psnr"]


def test_images_of_the_same_people_are_not_as_good_as_other_people(tmp_path: Path) -> None:
    table = {"psnr": {"input": INPUT, "restored": INPUT + 1}}
    found = compare([write_scores(tmp_path / "a", table, groups=10)])
    assert "The images are of 10 groups, such as people" in found.notes[0]
    assert not compare([write_scores(tmp_path / "b", table, groups=30)]).notes


def test_without_test_the_only_set_that_all_have_is_taken(tmp_path: Path) -> None:
    table = {"psnr": {"input": INPUT, "restored": INPUT + 1}}
    a = write_scores(tmp_path / "a", table, name="photos")
    b = write_scores(tmp_path / "b", table, name="photos")
    assert compare([a, b]).set == "photos"
    c = write_scores(tmp_path / "c", table, name="scans")
    with pytest.raises(DataError, match="no set has scores of every run"):
        compare([a, c])
    for run in (a, b):
        text = (run / "scores.csv").read_text()
        (run / "scores.csv").write_text(text + text.partition("\n")[2].replace("photos", "scans"))
        about = json.loads((run / "scores.json").read_bytes())
        about["sets"]["scans"] = about["sets"]["photos"]
        (run / "scores.json").write_text(json.dumps(about))
    with pytest.raises(RecipeError, match="choose with --set photos or scans"):
        compare([a, b])
    assert compare([a, b], "scans").set == "scans"


def test_runs_of_the_same_name_are_called_by_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = {"psnr": {"input": INPUT, "restored": INPUT + 1}}
    for name in ("x/run", "y/run", "input"):
        write_scores(Path(name), table)
    assert compare([Path("x/run"), Path("y/run")]).rows[1:] == ("x/run", "y/run")
    assert compare([Path("x/run")]).rows[1:] == ("run",)
    assert compare([tmp_path / "input"]).rows[1:] == (str(tmp_path / "input"),)
