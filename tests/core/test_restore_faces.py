"""Faces found in photographs, restored together and put back; what lies beside them afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from frx import images
from frx.align import FaceFinder
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.restoring.jobs import Naming
from frx.restoring.places import Aligned, Faces, Sizes

Restore = Callable[..., Any]
CPU = torch.device("cpu")


class Inverts(nn.Module):
    """Turns light into dark, and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, ...]] = []

    def forward(self, degraded: Tensor) -> Tensor:
        self.shown.append(tuple(degraded.shape))
        return 1 - degraded


class Reddens(nn.Module):
    def forward(self, degraded: Tensor) -> Tensor:
        return torch.stack([degraded[:, 0] + 0.5, degraded[:, 1], degraded[:, 2]], dim=1)


class FillsWhite(nn.Module):
    """Fills with white what is marked, and notes how large a picture it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, ...]] = []

    def forward(self, degraded: Tensor, mask: Tensor) -> dict[str, Tensor]:
        self.shown.append((*degraded.shape[2:], int(mask.sum())))
        return {"image": torch.ones_like(degraded)}


def restorer(module: nn.Module, size: int = 64, **more: Any) -> Restorer:
    return Restorer(module, Precision(CPU, bf16=False), {}, size=size, **more)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture
def faces(finder: FaceFinder) -> Callable[..., Faces]:
    """All faces or the largest, found with a detector that is loaded once."""

    def make(of: Restorer, which: str = "all", in_part: bool = False) -> Faces:
        return Faces(Sizes(of, in_part), which, finder)

    return make


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))


def group(*sizes: int) -> np.ndarray:
    """Drawn faces of those sizes side by side before an even wall."""
    wall = np.full((max(sizes) + 60, sum(sizes) + 40 * len(sizes), 3), (150, 140, 120), np.uint8)
    left = 20
    for number, size in enumerate(sizes):
        wall[30 : 30 + size, left : left + size] = SyntheticFaces(size=size)[number]["clean"]
        left += size + 40
    return wall


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def test_every_face_is_restored_and_the_wall_is_left_alone(restore: Restore, faces: Any) -> None:
    images.write("a.png", group(120, 160))
    network = restorer(Inverts())
    (record,) = restore([Path("a.png")], Path("out"), network, places=faces(network)).records
    assert record.status == "restored"
    assert len(record.faces) == 2
    before, after = group(120, 160), images.read_rgb("out/a.png")
    touched = changed(before, after)
    for face in record.faces:
        left, top, right, bottom = map(round, face.box)
        assert touched[top:bottom, left:right].mean() > 0.98
    assert not touched[:, :15].any()
    assert 0.2 < touched.mean() < 0.7


def test_the_largest_face_alone(restore: Restore, faces: Any) -> None:
    images.write("a.png", group(110, 170))
    network = restorer(Inverts())
    done = restore([Path("a.png")], Path("out"), network, places=faces(network, "largest"))
    (face,) = done.records[0].faces
    assert face.box[0] > 150
    touched = changed(group(110, 170), images.read_rgb("out/a.png"))
    assert not touched[:, :110].any()


def test_faces_of_many_photographs_share_a_batch(restore: Restore, faces: Any) -> None:
    for number in range(5):
        images.write(f"photos/{number}.png", group(*([90] * (1 + number % 2))))
    module = Inverts()
    network = restorer(module, size=128)
    done = restore([Path("photos")], Path("out"), network, places=faces(network))
    assert not done.failed
    assert module.shown == [(7, 3, 128, 128)]


def test_a_large_face_is_seen_at_its_own_size_and_a_small_one_at_the_learned(
    restore: Restore, faces: Any
) -> None:
    images.write("large.png", group(400))
    images.write("small.png", group(60))
    module = Inverts()
    network = restorer(module, size=128)
    inputs = [Path("large.png"), Path("small.png")]
    done = restore(inputs, Path("out"), network, places=faces(network))
    large, small = (record.faces[0].side_px for record in done.records)
    sides = sorted(shape[-1] for shape in module.shown)
    assert sides[0] == 128 > small
    assert sides[1] == 64 * round(large / 64) > 256
    fixed = Inverts()
    network = restorer(fixed, size=128, fixed_size=True)
    restore(inputs, Path("other"), network, places=faces(network))
    assert {shape[-1] for shape in fixed.shown} == {128}


def test_memory_that_runs_out_halves_the_batch(restore: Restore, faces: Any) -> None:
    class Greedy(Inverts):
        def forward(self, degraded: Tensor) -> Tensor:
            if len(degraded) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(degraded)

    for number in range(5):
        images.write(f"photos/{number}.png", group(90))
    network = restorer(Greedy())
    done = restore([Path("photos")], Path("out"), network, places=faces(network))
    assert [record.status for record in done.records] == ["restored"] * 5

    class Insatiable(Inverts):
        def forward(self, degraded: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network = restorer(Insatiable())
    done = restore([Path("photos/0.png")], Path("x"), network, places=faces(network))
    assert "photos/0.png: out of memory at 96×96; try a smaller --face-size" in str(done.failed)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda x: x[:, :, 1:].view(7), "the network failed: shape"),
        (lambda x: {}["of nothing"], "the network failed: 'of nothing'"),
        (lambda x: x * torch.nan, "the network gave values that are no numbers"),
    ],
)
def test_a_network_that_fails_fails_the_photograph_and_not_the_others(
    restore: Restore, faces: Any, made: Callable[[Tensor], Tensor], reason: str
) -> None:
    class Picky(nn.Module):
        def forward(self, degraded: Tensor) -> Tensor:
            return made(degraded) if degraded.shape[-1] > 64 else degraded / 2

    images.write("photos/large.png", group(300))
    images.write("photos/small.png", group(60))
    network = restorer(Picky())
    done = restore([Path("photos")], Path("out"), network, places=faces(network))
    assert list(done.failed) == [Path("photos/large.png")]
    assert f"photos/large.png: {reason}" in done.failed[Path("photos/large.png")]
    assert done.done == [Path("out/small.png")]
    assert not Path("out/large.png").exists()


def test_a_photograph_without_a_face_is_copied_to_the_byte(restore: Restore, faces: Any) -> None:
    Image.fromarray(np.full((90, 120, 3), 77, np.uint8)).save("wall.jpg", quality=61)
    network = restorer(Inverts())
    (record,) = restore([Path("wall.jpg")], Path("out"), network, places=faces(network)).records
    assert record.status == "unchanged"
    assert record.reason.startswith("no face found; --whole")
    assert Path("out/wall.jpg").read_bytes() == Path("wall.jpg").read_bytes()


def test_strength_nought_copies_and_a_half_goes_half_the_way(restore: Restore, faces: Any) -> None:
    images.write("a.png", group(120))
    network = restorer(Inverts())
    arguments = ([Path("a.png")], Path("none"), network)
    (record,) = restore(*arguments, places=faces(network), strength=0.0).records
    assert (record.status, record.reason) == ("unchanged", "strength is 0")
    assert Path("none/a.png").read_bytes() == Path("a.png").read_bytes()
    restore([Path("a.png")], Path("half"), network, places=faces(network), strength=0.5)
    left, top, right, bottom = map(round, record.faces[0].box)
    inside = images.read_rgb("half/a.png")[top:bottom, left:right]
    assert np.abs(inside.astype(int) - 127.5).mean() < 3  # between a picture and its negative


def test_sixteen_bits_stay_where_nothing_is_touched(restore: Restore, faces: Any) -> None:
    deep = group(120).astype(np.uint16) * 257 ^ 5
    images.write("a.png", deep)
    network = restorer(Inverts())
    (record,) = restore([Path("a.png")], Path("out"), network, places=faces(network)).records
    after = images.read("out/a.png").deep
    touched = (after != deep).any(axis=2)
    assert 0.1 < touched.mean() < 0.9
    np.testing.assert_array_equal(after[:, :15], deep[:, :15])
    left, top, right, bottom = map(round, record.faces[0].box)
    inverted = after[top:bottom, left:right].astype(int) + deep[top:bottom, left:right]
    assert np.abs(inverted - 65535).mean() < 700


def test_grey_stays_grey_whatever_a_network_does(restore: Restore, faces: Any) -> None:
    gray = np.repeat(group(120)[..., 1:2], 3, axis=2)
    Image.fromarray(gray[..., 0]).save("l.png")
    images.write("rgb.png", gray)
    noise = np.random.default_rng(0).integers(-1, 2, gray.shape)
    images.write("nearly.png", (gray + noise).clip(0, 255).astype(np.uint8))
    network = restorer(Reddens())
    inputs = [Path("l.png"), Path("rgb.png"), Path("nearly.png")]
    done = restore(inputs, Path("out"), network, places=faces(network))
    assert [record.status for record in done.records] == ["restored"] * 3
    assert np.ptp(images.read_rgb("out/nearly.png").astype(int), axis=2).max() <= 2
    with Image.open("out/l.png") as image:
        assert image.mode == "L"
    rgb = images.read_rgb("out/rgb.png")
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])


def test_a_mask_is_filled_in_faces_at_the_learned_size_and_elsewhere_in_the_whole(
    restore: Restore, faces: Any
) -> None:
    picture = group(200)
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[120:126, 90:150] = 255
    mask[:, 3:6] = 255
    images.write("a.png", np.where(mask[..., None] > 0, np.uint8(0), picture))
    images.write("mask.png", mask)
    module = FillsWhite()
    network = restorer(module)
    places = faces(network, in_part=True)
    done = restore([Path("a.png")], Path("out"), network, Path("mask.png"), places=places)
    assert len(done.records[0].faces) == 1
    after = images.read_rgb("out/a.png")
    np.testing.assert_array_equal((after == 255).all(axis=2), mask > 0)
    np.testing.assert_array_equal(after[mask == 0], picture[mask == 0])
    (height, width, in_face), (rows, columns, left_over) = module.shown
    assert (height, width) == (64, 64)
    assert in_face > 0
    assert (rows, columns, left_over) == (*picture.shape[:2], 3 * picture.shape[0])


def test_pictures_that_are_faces_already(restore: Restore) -> None:
    images.write("face.png", SyntheticFaces(size=100)[0]["clean"])
    images.write("small.png", SyntheticFaces(size=32)[0]["clean"])
    images.write("wide.png", images.resize(SyntheticFaces(size=100)[0]["clean"], 100, 130))
    module = Inverts()
    network = restorer(module)
    inputs = [Path("face.png"), Path("small.png"), Path("wide.png")]
    done = restore(inputs, Path("out"), network, places=Aligned(Sizes(network, False)))
    assert not done.failed
    assert {shape[2:] for shape in module.shown} == {(100, 100), (64, 64), (100, 130)}
    np.testing.assert_array_equal(
        images.read_rgb("out/face.png"), 255 - images.read_rgb("face.png")
    )
    assert images.read_rgb("out/small.png").shape == (32, 32, 3)
    images.write("strip.png", np.zeros((3, 900, 3), np.uint8))
    done = restore([Path("strip.png")], Path("y"), network, places=Aligned(Sizes(network, False)))
    assert "strip.png: 900×3, which no face fills" in done.failed[Path("strip.png")]
    fixed = restorer(Inverts(), fixed_size=True)
    done = restore(inputs, Path("x"), fixed, places=Aligned(Sizes(fixed, False)))
    assert list(done.failed) == [Path("wide.png")]
    assert "wide.png: 130×100, but this network sees squares" in done.failed[Path("wide.png")]


@pytest.mark.parametrize(
    ("naming", "written"),
    [
        (Naming(), ["a.jpg", "b.jpeg", "c.png"]),
        (Naming("keep", "_new"), ["a_new.jpg", "b_new.jpeg", "c_new.png"]),
        (Naming("png"), ["a.png", "b.png", "c.png"]),
        (Naming("jpeg"), ["a.jpg", "b.jpeg", "c.jpg"]),
        (Naming("webp", "-r"), ["a-r.webp", "b-r.webp", "c-r.webp"]),
        (Naming(in_part=True), ["a.png", "b.png", "c.png"]),
        (Naming("keep", in_part=True), ["a.jpg", "b.jpeg", "c.png"]),
    ],
)
def test_names_and_formats(
    restore: Restore, faces: Any, naming: Naming, written: list[str]
) -> None:
    for name in ("a.jpg", "b.jpeg", "c.png"):
        images.write(f"photos/{name}", group(60))
    network = restorer(Inverts())
    done = restore([Path("photos")], Path("out"), network, places=faces(network), naming=naming)
    assert [path.name for path in done.done] == written
    kinds = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    for path in done.done:
        with Image.open(path) as image:
            assert image.format == kinds[path.suffix]


def test_metadata_and_quality_come_back(restore: Restore, faces: Any) -> None:
    from PIL import ImageCms

    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Grandmother, 1931"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(group(120, 120))))
    lying.save("a.jpg", exif=exif, icc_profile=profile, quality=71)
    network = restorer(Inverts())
    (record,) = restore([Path("a.jpg")], Path("out"), network, places=faces(network)).records
    assert len(record.faces) == 2  # which it would not have found lying on its side
    with Image.open("out/a.jpg") as image:
        assert image.size == (320, 180)
        assert image.getexif()[0x0112] == 1
        assert image.getexif()[0x010E] == "Grandmother, 1931"
        assert image.info["icc_profile"] == profile
    assert images.read("out/a.jpg").quality == images.read("a.jpg").quality == 71


def test_crops_and_comparisons(restore: Restore, faces: Any) -> None:
    images.write("photos/old/a.png", group(120, 160))
    network = restorer(Inverts())
    options = {"keep_crops": True, "compare": True}
    restore([Path("photos")], Path("out"), network, places=faces(network), **options)
    for number in (0, 1):
        before = images.read_rgb(f"out/cropped_faces/old/a_{number:02}.png")
        after = images.read_rgb(f"out/restored_faces/old/a_{number:02}.png")
        assert np.abs(255 - before.astype(int) - after).max() <= 1
    height, width = group(120, 160).shape[:2]
    beside = images.read_rgb("out/cmp/old/a.jpg")
    assert beside.shape == (height, 2 * width + 8, 3)
    assert np.abs(beside[:, -width:].astype(int) - images.read_rgb("out/old/a.png")).mean() < 6


def test_the_networks_that_judge_likeness_are_offered_in_their_order() -> None:
    from frx.commands.restore import IDENTITY_NETWORKS
    from frx.embedding import Backbone
    from frx.restoring.likeness import NETWORKS

    assert IDENTITY_NETWORKS == NETWORKS
    assert set(NETWORKS) == set(get_args(Backbone))


# As a user meets it ------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A trained network's folder, though this one never learned anything."""
    from frx.build import Use, converter_for
    from frx.model_folder import export
    from frx.specs import Model

    use: Use = converter_for(["model"]).structure({"use": "unet", "width": 4}, Model)  # type: ignore[type-abstract]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        export(tmp_path / "model", use, use.build().state_dict(), {"size": 64})
    return Path("model")


def test_a_folder_of_photographs(frx, model: Path, random_embedding: str) -> None:
    images.write("photos/a.jpg", group(120))
    images.write("photos/old/<script>.png", group(90, 90))
    images.write("photos/wall.png", np.full((50, 60, 3), 90, np.uint8))
    Path("photos/broken.png").write_bytes(Path("photos/a.jpg").read_bytes()[:400])
    words = ("restore", "photos", "-o", "out", "--model", str(model))
    code, out, err = frx(*words)
    assert code == 3
    assert "restored 2 into out, 3 faces" in out
    assert "left as 1 of them were: no face found" in out
    assert "Likeness was not measured" in out
    assert "`frx fetch edgeface_xs`" in out
    assert "1 could not be restored:\n  photos/broken.png" in err
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert {line["source"]: line["status"] for line in lines} == {
        "photos/a.jpg": "restored",
        "photos/broken.png": "failed",
        "photos/old/<script>.png": "restored",
        "photos/wall.png": "unchanged",
    }
    page = Path("out/report.html").read_text()
    assert "&lt;script&gt;.png" in page
    assert "<script>.png" not in page

    network = ("--likeness-network", "edgeface_xxs", "--likeness-weights", random_embedding)
    code, out, err = frx(*words, *network, "--likeness-threshold", "1")
    assert "3 faces may no longer look like the same person" in out
    faces = [
        face
        for line in Path("out/results.jsonl").read_text().splitlines()
        for face in json.loads(line)["faces"]
    ]
    assert [face["changed"] for face in faces] == [True] * 3
    assert all(-1 <= face["likeness"] < 1 for face in faces)


def test_the_same_command_does_nothing_twice(frx, model: Path) -> None:
    for name in "abc":
        images.write(f"photos/{name}.png", group(90))
    words = ("restore", "photos", "-o", "out", "--model", str(model))
    assert frx(*words)[0] == 0
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    Path("out/b.png").unlink()
    images.write("photos/c.png", group(100))
    code, out, err = frx(*words)
    assert code == 0, err
    assert "1 of 3 photographs were done already" in err
    assert "restored 3 into out" in out
    now = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert [now[path] == times[path] for path in sorted(now)] == [True, False, False]
    _, _, err = frx(*words, "--strength", "0.5")
    assert "done already" not in err


def test_a_call_that_is_killed_is_gone_on_with(model: Path) -> None:
    for number in range(12):
        images.write(f"photos/{number:02}.png", group(90))
    command = [sys.executable, "-m", "frx", "restore", "photos", "-o", "out", "--model", str(model)]
    command += ["--face-size", "512"]  # so that each photograph is a batch
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    results = Path("out/results.jsonl")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if results.exists() and results.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = results.read_bytes().count(b"\n")
    assert 2 <= done < 12
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("[!.]*.png")}
    Path("out/.frx-partial-0123.png").write_bytes(b"half a pict")
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "restored 12 into out" in again.stdout
    assert "of 12 photographs were done already" in again.stderr
    kept = [path for path, when in times.items() if path.stat().st_mtime_ns == when]
    assert len(kept) >= done - 1
    assert not list(Path("out").rglob(".frx-partial*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--aligned", "--whole"], "--faces, --aligned and --whole exclude each other"),
        (["--faces", "largest", "--whole"], "--faces, --aligned and --whole exclude each other"),
        (["--strength", "1.5"], "--strength"),
        (["--mask", "m.png"], "unet does not ask for a mask: leave --mask out"),
        (["--mask-threshold", "0.2"], "unet does not find the damage itself"),
        (["--likeness-weights", "nowhere.pt"], "there is no weights file nowhere.pt"),
        (["--device", "cuda:9"], "--device cuda:9: not to be had here"),
        (["--model", "a.png"], "a.png is no trained model: that is a run folder"),
        (["--model", "nowhere"], "nowhere: no trained model"),
    ],
)
def test_options_that_do_not_fit(frx, model: Path, words: list[str], said: str) -> None:
    images.write("a.png", group(60))
    code, _, err = frx("restore", "a.png", "-o", "out", "--model", str(model), *words)
    assert code in (2, 3)
    assert said in err
    assert "Traceback" not in err
    assert not Path("out").exists()


def test_restored_beside_their_originals_nothing_is_restored_twice(frx, model: Path) -> None:
    for name in ("a.png", "old/b.jpg"):
        images.write(f"photos/{name}", group(60))
    words = ("restore", "photos", "-o", "photos", "--model", str(model), "--suffix", "_new")
    for _ in range(2):
        code, out, err = frx(*words, "--compare", "--keep-crops")
        assert code == 0, err
        assert "restored 2 into photos" in out
    found = {path.relative_to("photos").as_posix() for path in Path("photos").rglob("*_new.*")}
    assert {name for name in found if "/" not in name or name.startswith("old/")} == {
        "a_new.png",
        "old/b_new.jpg",
    }


def test_pictures_that_nobody_here_can_read_are_named(frx, model: Path) -> None:
    images.write("photos/a.png", group(60))
    Path("photos/._a.png").write_bytes(b"a system's note on it")
    Path("photos/b.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(90))
    Path("photos/c.psd").write_bytes(b"8BPS" + bytes(90))
    Path("photos/notes.txt").write_text("of no picture")
    code, out, err = frx("restore", "photos", "-o", "out", "--model", str(model))
    assert code == 3
    assert "restored 1 into out" in out
    assert "2 could not be restored" in err
    assert "photos/b.heic is a HEIC picture" in err
    assert "photos/c.psd is no picture that frx reads" in err


def test_what_lies_in_the_output_folder_is_no_input(frx, model: Path) -> None:
    images.write("a.png", group(60))
    for _ in range(2):
        code, out, err = frx("restore", ".", "-o", "out", "--model", str(model), "--compare")
        assert code == 0, err
        assert "restored 1 into out" in out
