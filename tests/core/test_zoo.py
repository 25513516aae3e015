"""A hundred odd and broken pictures through every command: each is right, or named and left out."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from zoo import PNG, Member, fill

from frx import experiment, images
from frx.data import Samples, open_whole
from frx.datasets.folder import Folder
from frx.errors import DataError
from frx.loader import Loader
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.recipe import Recipe, load

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
EXTENSIONS = (".jpg", ".png", ".gif", ".bmp", ".webp", ".tif")
TINY = f"""\
name = "zoo"
[data]
use = "folder"
path = "photos"
size = 16
extensions = {json.dumps(EXTENSIONS)}
on_bad = "skip"
split = [0.6, 0.2, 0.2]
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "only"
epochs = 2
batch_size = 8
losses = ["l1"]
[[metrics]]
use = "psnr"
[[hooks]]
use = "samples"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the zoo in photos/ and the recipe; all tests here stand in it."""
    folder = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("FRX_CACHE", str(folder / "cache"))
        Path("zoo.toml").write_text(TINY)
        yield folder


@pytest.fixture(scope="module")
def zoo(place: Path) -> Mapping[str, Member]:
    return fill(Path("photos"))


@pytest.fixture(scope="module")
def run(zoo: Mapping[str, Member], one_thread: None) -> Path:
    """A run of two epochs over the zoo, which leaves out what cannot be read."""
    experiment.run(load(Path("zoo.toml")), Path("runs/zoo"), CPU)
    return Path("runs/zoo")


def refused(zoo: Mapping[str, Member]) -> set[str]:
    return {name for name, member in zoo.items() if member.pixels is None}


def readable(zoo: Mapping[str, Member]) -> set[str]:
    return set(zoo) - refused(zoo)


def same(found: np.ndarray, expected: np.ndarray, off_by: float, name: str = "") -> None:
    assert found.shape[:2] == expected.shape[:2], name
    np.testing.assert_allclose(found.astype(float), expected, atol=off_by + 0.51, err_msg=name)


def test_each_is_read_as_what_it_is_or_refused_by_name(zoo: Mapping[str, Member]) -> None:
    folder = Folder(path="photos", size="own", extensions=EXTENSIONS)
    assert {folder.name(index) for index in range(len(folder))} == set(zoo)
    for index in range(len(folder)):
        name = folder.name(index)
        if zoo[name].pixels is not None:
            same(folder[index]["clean"], zoo[name].on_white, zoo[name].off_by, name)
            continue
        with pytest.raises(DataError, match=zoo[name].reason) as caught:
            folder[index]
        assert images.shown(f"photos/{name}") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_check_names_all_that_cannot_be_read(frx, zoo: Mapping[str, Member]) -> None:
    code, out, err = frx("check", "zoo.toml", "--images")
    assert code == 0, err
    assert "nothing wrong" in out
    assert all(f"photos/{name}" in out for name in refused(zoo))
    code, _, err = frx("check", "zoo.toml", "--images", "--set", "data.on_bad=error")
    assert code == 3
    assert f"{len(refused(zoo))} images cannot be read" in err
    assert all(f"photos/{name}" in err for name in refused(zoo))


def test_a_run_leaves_out_and_names_what_cannot_be_read(
    run: Path, zoo: Mapping[str, Member]
) -> None:
    bad = json.loads((run / "run.json").read_bytes())["bad_images"]
    scores = json.loads((run / "scores.json").read_bytes())["sets"]
    assert set(bad) | set(scores["test"]["unreadable"]) == refused(zoo)
    assert all(re.search(zoo[name].reason, reason) for name, reason in bad.items())
    assert all(f"photos/{name}" in reason for name, reason in bad.items())
    epochs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in epochs].count("val") == 2


@pytest.mark.parametrize("steps", [1, 12])
def test_stopped_and_continued_the_same_are_left_out(
    steps: int, run: Path, bytes_of: Any, stop_after: Any
) -> None:
    broken = Path(f"runs/broken-{steps}")
    stop_after(load(Path("zoo.toml")), broken, steps)
    experiment.run(load(Path("zoo.toml")), broken, CPU)
    assert bytes_of(broken) == bytes_of(run)
    bad = [json.loads((f / "run.json").read_bytes())["bad_images"] for f in (broken, run)]
    assert list(bad[0].items()) == list(bad[1].items())


def test_where_none_is_to_be_left_out_each_ends_the_run_by_name(
    frx, zoo: Mapping[str, Member]
) -> None:
    recipe: Recipe = load(Path("zoo.toml"), overrides=["data.on_bad=error"])
    subset = open_whole(recipe.data, lambda use: use.build())
    for index in range(len(subset)):
        name = subset.dataset.name(index)
        fetched = Loader(Samples(subset, 1, []), CPU).batches(np.array([index]), 1, epoch=0)
        if zoo[name].pixels is None:
            with pytest.raises(DataError, match=r'data\.on_bad = "skip" leaves it out') as caught:
                next(fetched)
            assert images.shown(f"photos/{name}") in str(caught.value)
        else:
            assert next(fetched).names == [name]
    code, _, err = frx("run", "zoo.toml", "--set", "data.on_bad=error", "--out", "runs/error")
    assert code == 3
    assert re.search("frx: photos/.*leaves it out", err)
    assert "Traceback" not in err


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.events: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.events += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_name_comes_through_run_evaluation_and_reports(
    frx, run: Path, zoo: Mapping[str, Member]
) -> None:
    words = ("--data", "all=photos", "--set", f"data.extensions={json.dumps(EXTENSIONS)}")
    code, _, err = frx("evaluate", str(run), *words, "--out", "scores")
    assert code == 0, err
    with Path("scores/scores.csv").open(newline="", errors="surrogateescape") as file:
        assert {line["image"] for line in csv.DictReader(file)} == readable(zoo)
    code, _, err = frx("compare", str(run), "-o", "compared", "--pictures", "30")
    assert code == 0, err
    for page in (run / "report.html", Path("compared/compare.html")):
        elements = Elements(page.read_text(errors="surrogateescape"))
        assert elements.events == []
        assert "script" not in elements.names
    assert "no pictures" not in err
    assert (
        "<img src=x onerror=alert(1)>.png"
        in Elements(Path("compared/compare.html").read_text(errors="surrogateescape")).text
    )


class Inverts(nn.Module):
    """Changes every pixel, and each so that one can tell what it was to the last bit."""

    def forward(self, degraded: Tensor) -> dict[str, Tensor]:
        return {"image": 1 - degraded}


def by_opencv(path: Path) -> np.ndarray:
    """A written file with all its bits, RGB or RGBA, as another program reads it."""
    if path.suffix == ".tif":  # of which OpenCV multiplies 8 bits by alpha
        with Image.open(path, formats=["TIFF"]) as image:
            if image.mode == "RGBA":
                return np.asarray(image)
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None, path
    if decoded.ndim == 2:
        return np.repeat(decoded[..., None], 3, axis=2)
    return decoded[..., [2, 1, 0, 3][: decoded.shape[2]]]


def test_restoring_gets_the_very_pixels_and_names_the_files_without(
    zoo: Mapping[str, Member], restore: Callable[..., Any]
) -> None:
    inverts = Restorer(Inverts(), Precision(CPU, bf16=False), {})
    restored = restore([Path("photos")], Path("inverted"), inverts)
    failed = {path.name: reason for path, reason in restored.failed.items()}
    assert failed.pop("folder.jpg").endswith("is a folder, not a picture")
    assert set(failed) == refused(zoo)
    assert all(re.search(zoo[name].reason, reason) for name, reason in failed.items())
    written = {Path(one.source).name: Path(one.output) for one in restored.records if one.output}
    assert set(written) == readable(zoo)
    for name, path in written.items():
        member, found = zoo[name], by_opencv(path)
        assert path.stem == PurePath(name).stem
        lossy = 12 if path.suffix == ".jpg" or name == "smooth_webp.webp" else 0
        colors, alpha = found[..., :3], found[..., 3:]
        if found.dtype == np.uint16:
            colors, alpha = colors >> 8, alpha >> 8
        assert member.pixels is not None
        same(colors, 255 - member.pixels, member.off_by + lossy, name)
        if member.alpha is not None:
            same(alpha[..., 0], member.alpha, 0, name)
        else:
            assert (alpha == 255).all()
        deep = name.startswith(("gray16", "rgb16", "rgba16", "gray12"))
        assert (found.dtype == np.uint16) == deep, name


def test_the_command_looks_for_faces_in_all_and_ends_with_3(
    frx, run: Path, zoo: Mapping[str, Member]
) -> None:
    code, _, err = frx("restore", "photos", "-o", "restored", "--model", str(run))
    assert code == 3
    assert f"{len(refused(zoo)) + 1} could not be restored:" in err
    assert all(f"photos/{name}" in err for name in refused(zoo))
    assert "Traceback" not in err
    lines = Path("restored/results.jsonl").read_text().splitlines()
    done = [one for one in map(json.loads, lines) if one["status"] != "failed"]
    assert {PurePath(one["source"]).name for one in done} == readable(zoo)
    assert all(Path(one["output"]).is_file() for one in done if one["output"])
    page = Elements(Path("restored/report.html").read_text(errors="replace"))
    assert page.events == []
    template = files("frx.restoring").joinpath("page.html").read_text()
    assert page.names.count("script") == template.count("<script")


def test_degrading_writes_all_but_what_cannot_be_read(frx, zoo: Mapping[str, Member]) -> None:
    words = ("degrade", "photos", "-o", "set", "--recipe", "zoo.toml", "--set", "data.size=own")
    code, _, err = frx(*words)
    assert code == 3
    assert all(f"photos/{name}" in err for name in refused(zoo))
    for name in readable(zoo):
        written = f"{PurePath(name).stem}.png"
        same(by_opencv(Path("set/clean") / written), zoo[name].on_white, zoo[name].off_by, name)
        assert by_opencv(Path("set/corrupted") / written).shape[2] == 3
    written = {path.name for path in Path("set/clean").iterdir()}
    assert written == {f"{PurePath(name).stem}.png" for name in readable(zoo)}


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs root")
def test_a_file_of_somebody_elses_is_refused_by_name() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "private.png")
        path.write_bytes(PNG)
        path.chmod(0)
        os.seteuid(65534)
        try:
            with pytest.raises(DataError, match=r"private\.png: permission denied"):
                images.read(path)
        finally:
            os.seteuid(0)
