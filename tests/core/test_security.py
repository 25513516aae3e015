"""Files, names and recipes that mean harm: nothing runs, nothing is written elsewhere or told."""

from __future__ import annotations

import importlib
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from zoo import REFUSED, png_header

from frx import experiment, files, images
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError, FrxError, RecipeError
from frx.loader import Batch
from frx.model_folder import Restorer
from frx.recipe import load
from frx.registry import find
from frx.restoring.likeness import Likeness
from frx.restoring.model import open_model
from frx.scoring.again import Parts

CPU = torch.device("cpu")
TINY = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 24
count = 12
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "only"
epochs = 1
batch_size = 4
losses = ["l1"]
[[metrics]]
use = "psnr"
[[hooks]]
use = "samples"
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    Path("tiny.toml").write_text(TINY)


def in_little_memory(work: Callable[[], str], more_bytes: int) -> str:
    """What `work` says, in a process that may take so much more memory than this one has."""
    resource = pytest.importorskip("resource")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            torch.set_num_threads(1)  # others do not survive a fork
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + more_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            text = work()
        except BaseException as error:
            text = repr(error)
        os.write(writer, text.encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(child, 0)
    return text


needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


# Pictures that would fill the memory --------------------------------------------------------------


def bombs() -> dict[str, bytes]:
    """Small files whose pixels would take gigabytes."""
    jpeg = bytearray(images_of("a.jpg"))
    at = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, at + 5, 65_000, 65_000)
    bmp = bytearray(images_of("a.bmp"))
    struct.pack_into("<ii", bmp, 18, 60_000, 60_000)
    tif = images_of("a.tif")
    for tag, side in {256: 16, 257: 12}.items():
        for kind, code in {3: "<HHIHH", 4: "<HHII"}.items():
            entry = struct.pack(code, tag, kind, 1, side, *([0] if kind == 3 else []))
            tif = tif.replace(entry, struct.pack("<HHII", tag, 4, 1, 60_000))
    vp8x = struct.pack("<I", 0)[:4] + (16_383).to_bytes(3, "little") * 2
    webp = b"WEBPVP8X" + struct.pack("<I", 10) + vp8x + b"VP8 " + bytes(20)
    return {
        **{name: REFUSED[name][0] for name in ("100k.png", "12k.png", "9k.png", "bomb.gif")},
        "text_bomb.png": REFUSED["text_bomb.png"][0],
        "whole.png": png_header(30_000, 30_000)[:33] + chunk(b"IDAT", zlib.compress(bytes(10**7))),
        "large.jpg": bytes(jpeg),
        "large.bmp": bytes(bmp),
        "large.tif": tif,
        "large.webp": b"RIFF" + struct.pack("<I", len(webp)) + webp,
    }


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def images_of(name: str) -> bytes:
    images.write(name, np.zeros((12, 16, 3), np.uint8))
    return Path(name).read_bytes()


@needs_proc
def test_bombs_are_refused_by_their_headers_in_50_mb() -> None:
    made = bombs()
    for name, content in made.items():
        Path(name).write_bytes(content)

    def work() -> str:
        said = []
        for name in made:
            for read in (images.read, images.read_rgb, images.read_mask, images.read_size):
                try:
                    read(name)
                    said.append(f"{read.__name__} {name}: read")
                except DataError as error:
                    if name not in str(error):
                        said.append(f"{name} is not named")
        return json.dumps(said)

    assert json.loads(in_little_memory(work, 50_000_000)) == []


# Files of weights ---------------------------------------------------------------------------------


def evil_weights() -> dict[str, bytes]:
    """Twelve files that would run a program, or take more memory than they are large."""
    spec = importlib.util.spec_from_file_location(
        "tensor_files", ROOT / "tests" / "core" / "test_tensor_file.py"
    )
    assert spec is not None
    assert spec.loader is not None
    known: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(known)
    programs, packed = known.PROGRAMS, known.as_zip
    numpy_gadget = known.call(
        known.name("numpy.testing._private.utils.runstring"), known.text(known.CODE), b"}"
    )
    return {
        "system.pth": packed(programs["os.system"]),
        "eval.pth": known.as_legacy(programs["eval"]),
        "exec.pt": known.bare(programs["exec"]),
        "getattr.pth": packed(programs["getattr of an import"]),
        "importlib.ckpt": packed(programs["getattr of importlib"]),
        "numpy.pth": packed(numpy_gadget),
        "nested.pth": packed(b"}", data__0=packed(programs["os.system"])),
        "tar.pth": known.as_tar(programs["os.system"]),
        "header.safetensors": known.header(b"{" + b" " * 100_000_000 + b"}"),
        "overlap.safetensors": known.header(
            {"a": known.entry([2], 0, 8), "b": known.entry([2], 4, 12)}, bytes(12)
        ),
        "shape.safetensors": known.header({"a": known.entry([2**40, 2**40], 0, 8)}, bytes(8)),
        "slip.pth": packed(b"}", **{"..__..__..__canary": b"out"}),
    }


def in_run_folder(path: Path) -> None:
    """As the weights of a run that somebody else handed on."""
    place = Path("handed/model")
    place.mkdir(parents=True, exist_ok=True)
    table = {"model": {"use": "unet", "width": 4}, "size": 24}
    (place / "model.json").write_text(json.dumps(table))
    (place / "model.safetensors").write_bytes(path.read_bytes())
    Restorer.open(Path("handed"), CPU)


def component(path: Path, kind: str, use: str, **options: Any) -> None:
    made = find(kind, use).load()(**options, weights=str(path))
    if hasattr(made, "load_pretrained"):
        made.load_pretrained()


# Everything that opens weights which are not frx's own.
OPENERS: dict[str, Callable[[Path], object]] = {
    "restore --model": lambda path: open_model(path, CPU),
    "a run folder": in_run_folder,
    "--likeness-weights": lambda path: Likeness.open(CPU, Mock(), "edgeface_xxs", str(path), 0.5),
    "loss perceptual": lambda path: component(
        path, "loss", use="perceptual", network="squeezenet1_1"
    ),
    "loss identity": lambda path: component(path, "loss", use="identity"),
    "loss lpips": lambda path: component(path, "loss", use="lpips"),
    "metric lpips": lambda path: component(path, "metric", use="lpips"),
    "metric fid": lambda path: component(path, "metric", use="fid"),
    "metric niqe": lambda path: component(path, "metric", use="niqe"),
    "metric identity_distance": lambda path: component(path, "metric", use="identity_distance"),
    "model timm_unet": lambda path: component(path, "model", use="timm_unet", encoder="resnet18"),
}


@needs_proc
@pytest.mark.parametrize("opener", OPENERS)
def test_of_twelve_evil_files_none_runs_or_fills_the_memory(opener: str) -> None:
    made = evil_weights()
    for name, content in made.items():
        Path(name).write_bytes(content)
    # What the opener imports and builds is not the file's doing.
    with pytest.raises(FrxError):
        OPENERS[opener](Path("system.pth"))

    def work() -> str:
        said = []
        for name in made:
            try:
                OPENERS[opener](Path(name))
                said.append(f"{name}: opened")
            except DataError as error:
                if "\n" in str(error):
                    said.append(f"{name}: {error}")
        return json.dumps(said)

    largest = max(map(len, made.values()))
    assert json.loads(in_little_memory(work, largest + 200_000_000)) == []
    assert not list(Path().rglob("canary*"))
    assert not Path("../../canary").exists()


def test_every_place_that_opens_weights_is_tried() -> None:
    reads = ("load_tensors(", "safetensors.torch.load(", "load_file(", "torch.load(", "np.load(")
    places = {
        path.relative_to(ROOT).as_posix()
        for folder in ("core", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if any(read in path.read_text(encoding="utf-8") for read in reads)
    }
    assert places == {
        "core/frx/checkpoint.py",  # compared with the manifest's SHA-256 before
        "core/frx/embedding.py",
        "core/frx/foreign.py",
        "core/frx/lpips_distance.py",
        "core/frx/model_folder.py",
        "core/frx/tensor_file.py",
        "core/frx/testing/networks.py",
        "plugins/losses/frx_losses/perceptual.py",
        "plugins/metrics/frx_metrics/inception.py",
        "plugins/metrics/frx_metrics/niqe.py",
        "plugins/models/frx_models/timm_encoder.py",
    }


# Names that lead elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../x", "/x", "..", "a/b", "", "a\\b", "a\nb"])
@pytest.mark.parametrize("key", ["name", "stages.only.name", "sets"])
def test_no_name_in_a_recipe_leads_out_of_the_run_folder(key: str, name: str) -> None:
    quoted = json.dumps(name)
    change = f"{key}={quoted}"
    if key == "sets":
        change = f"sets={{{quoted}={{use='synthetic_faces'}}}}"
    with pytest.raises(RecipeError, match=r"may hold letters, digits, .* named after it"):
        load(Path("tiny.toml"), overrides=[change])


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "..", ""])
def test_no_name_of_a_sample_leads_out_of_the_evaluation(name: str) -> None:
    batch = Batch({}, [name], [])
    outputs = {"generated": torch.zeros(1, 3, 8, 8), "image": torch.zeros(1, 3, 8, 8)}
    with pytest.raises(DataError, match="would lie outside of"):
        Parts(Path("out"))("set", batch, outputs)
    assert not Path("out").exists()
    assert files.below(Path("out"), "a/b..png") == Path("out/a/b..png")


def test_no_suffix_leads_out_of_the_output(frx) -> None:
    images.write("photos/a.png", SyntheticFaces(size=24)[0]["clean"])
    experiment.run(load(Path("tiny.toml")), Path("run"), CPU)
    for suffix in ("/../../x", "/x"):
        words = ("restore", "photos", "-o", "out", "--model", "run", "--whole")
        code, _, err = frx(*words, "--suffix", suffix)
        assert code == 2
        assert "a part of a file's name, not of a path" in err
    assert not Path("out").exists()


# What is nobody's business ------------------------------------------------------------------------

QUIETLY = """
import importlib, pkgutil, sys

asked = []

def refuse(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.send")):
        asked.append((event, arguments))
        raise OSError("no network here")

sys.addaudithook(refuse)
from frx.cli import COMMANDS, main

def call(*words):
    sys.argv = ["frx", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, (words, stop.code)

call("--help")
for command in COMMANDS:
    call(command, "--help")
call("list")
call("check", "tiny.toml")
call("run", "tiny.toml")
for package in ("frx", "frx_models", "frx_losses", "frx_metrics", "frx_degradations"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
assert asked == [], asked
"""


def test_no_network_is_asked_for_and_no_secret_kept() -> None:
    secret = "hunter2-5f1c0a77"
    environment = {**os.environ, "X_TOKEN": secret, "HF_TOKEN": secret, "AWS_SECRET_KEY": secret}
    done = subprocess.run(
        [sys.executable, "-c", QUIETLY],
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert Path("runs/tiny/report.html") in written
    assert not [path for path in written if secret.encode() in path.read_bytes()]
    assert secret not in done.stdout + done.stderr


def test_what_a_camera_noted_stays_with_the_photograph(frx) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 26.5)  # latitude
    Path("photos").mkdir()
    Image.fromarray(SyntheticFaces(size=24)[0]["clean"]).save("photos/a.jpg", exif=exif)
    experiment.run(load(Path("tiny.toml")), Path("run"), CPU)
    code, _, err = frx("restore", "photos", "-o", "out", "--model", "run", "--whole")
    assert code == 0, err
    with Image.open("out/a.jpg", formats=["JPEG"]) as image:
        assert image.getexif()[0x010E] == "<script>alert(1)</script>"
        assert image.getexif().get_ifd(0x8825)[2] == (51.0, 30.0, 26.5)
    assert "alert(1)" not in Path("out/report.html").read_text()
