"""Files of weights that want to do more than be read: none runs code, each is one sentence."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from frx import images
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError
from frx.tensor_file import load_tensors
from frx.weights import SUFFIXES

WEIGHTS = {f"{layer}.weight": torch.full((8, 8), float(layer)) for layer in range(4)}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def refused(path: str | Path) -> str:
    """The one sentence about a file that is not read."""
    with pytest.raises(DataError) as raised:
        load_tensors(path)
    sentence = str(raised.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 300
    assert "weights_only" not in sentence  # torch would advise to load it unsafely
    return sentence


# Whatever wraps the weights ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: {"params_ema": w, "params": {}},
        lambda w: {"params-ema": w},
        lambda w: {"g_ema": w, "d": {"x": torch.zeros(1)}},
        lambda w: {"model_state_dict": w, "epoch": 3},
        lambda w: {"model": w, "optimizer": {"lr": 0.1}},
        lambda w: {"net": {"state_dict": w}},
        lambda w: {"model": {"params_ema": {f"module.{name}": t for name, t in w.items()}}},
    ],
)
def test_weights_are_found_however_they_are_wrapped(wrap: Callable[[Any], Any]) -> None:
    torch.save(wrap(WEIGHTS), "network.pth")
    found = load_tensors("network.pth")
    assert list(found) == list(WEIGHTS)
    assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


# Files that want to run code ---------------------------------------------------------------------
# A pickle is a program. These are written by hand, opcode by opcode, and make a file "canary".

PROTOCOL = b"\x80\x02"
COMMAND = b"touch canary"
CODE = b"open('canary', 'w')"


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def name(dotted: str) -> bytes:
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


SYSTEM = name("posix.system" if os.name == "posix" else "nt.system")
IMPORT_OS = call(name("importlib.import_module"), text(b"os"))
GETATTR = name("builtins.getattr")

# Each of these makes the canary when an ordinary unpickler reads it.
PROGRAMS = {
    "os.system": call(name("os.system"), text(COMMAND)),
    "the module behind os": call(SYSTEM, text(COMMAND)),
    "eval": call(name("builtins.eval"), text(CODE)),
    "eval of Python 2": call(name("__builtin__.eval"), text(CODE)),
    "exec": call(name("builtins.exec"), text(CODE)),
    "getattr of an import": call(
        call(GETATTR, call(name("builtins.__import__"), text(b"os")), text(b"system")),
        text(COMMAND),
    ),
    "getattr of importlib": call(call(GETATTR, IMPORT_OS, text(b"system")), text(COMMAND)),
    "attrgetter": call(
        call(call(name("operator.attrgetter"), text(b"system")), IMPORT_OS), text(COMMAND)
    ),
    "methodcaller": call(
        call(name("operator.methodcaller"), text(b"system"), text(COMMAND)), IMPORT_OS
    ),
    "partial": call(call(name("functools.partial"), name("os.system"), text(COMMAND))),
    "subprocess": call(name("subprocess.getoutput"), text(COMMAND)),
    "runpy": call(name("runpy._run_code"), call(name("builtins.compile"), text(CODE), text(b"f"), text(b"exec")), b"}"),
    "timeit": call(name("timeit.timeit"), text(CODE), text(b"pass"), name("time.time"), b"K\x01"),
    "code": call(call(GETATTR, call(name("code.InteractiveInterpreter")), text(b"runsource")), text(CODE)),
    "the opcode INST": b"(" + text(COMMAND) + b"ios\nsystem\n",
    "the opcode OBJ": b"(" + name("os.system") + text(COMMAND) + b"o",
    "the opcode STACK_GLOBAL": call(text(b"os") + text(b"system") + b"\x93", text(COMMAND)),
    "the opcode NEWOBJ": call(
        name("builtins.list"),
        name("builtins.map") + b"(" + name("os.system") + b"]" + text(COMMAND) + b"at\x81",
    ),
    "a name with a path": b"\x80\x04"
    + call(text(b"torch.serialization") + text(b"os.system") + b"\x93", text(COMMAND)),
    "through the memo": call(name("os.system") + b"q\x00" + b"0h\x00", text(COMMAND)),
    "inside an entry": b"}" + text(b"weight") + call(name("os.system"), text(COMMAND)) + b"s",
    "as a key": b"}" + call(name("os.system"), text(COMMAND)) + b"K\x01s",
    "inside PyTorch's own rebuilding": call(
        name("torch._tensor._rebuild_from_type_v2"),
        *(name("os.system"), name("builtins.int"), b"(" + text(COMMAND) + b"t", b"}"),
    ),
    "a map": call(name("builtins.list"), call(name("builtins.map"), name("os.system"), b"]" + text(COMMAND) + b"a")),
}  # fmt: skip

# These need more than a pickle, but may not be called either.
CALLS = {
    dotted: call(name(dotted), text(b"other.pth"))
    for dotted in (
        *("torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"),
        *("torch.ops.load_library", "torch.utils.cpp_extension.load", "torch.compile"),
        *("torch.serialization._load", "torch.storage._load_from_bytes", "pickle.loads"),
        *("ctypes.CDLL", "numpy.load", "numpy.core.multiarray._reconstruct", "shutil.rmtree"),
        *("builtins.open", "builtins.getattr", "builtins.type", "copyreg._reconstructor"),
        *("types.FunctionType", "webbrowser.open", "socket.socket", "urllib.request.urlopen"),
        *("spandrel.ModelLoader", "frx.weights.load_tensors"),
    )
}


def bare(program: bytes) -> bytes:
    return PROTOCOL + program + b"."


def as_zip(program: bytes, **others: bytes) -> bytes:
    """As torch.save writes today."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", bare(program))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for file, content in others.items():
            archive.writestr(f"archive/{file.replace('__', '/')}", content)
    return packed.getvalue()


def as_legacy(program: bytes) -> bytes:
    """As torch.save wrote before version 1.6: several pickles one after another."""
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    front = (pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, system))
    return b"".join(front) + bare(program) + pickle.dumps([], 2)


def as_tar(program: bytes) -> bytes:
    """As torch.save wrote in its first months."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(file)
            entry.size = len(bare(program))
            archive.addfile(entry, io.BytesIO(bare(program)))
    return packed.getvalue()


CONTAINERS = {"zip": as_zip, "legacy": as_legacy, "bare": bare, "tar": as_tar}


def no_canary() -> bool:
    return not Path("canary").exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_do_harm_where_they_are_let(program: str) -> None:
    """Otherwise the tests below would show nothing."""
    with contextlib.suppress(Exception):
        pickle.loads(bare(PROGRAMS[program]))
    assert not no_canary()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("program", PROGRAMS | CALLS)
def test_no_program_in_a_file_is_run(program: str, container: str) -> None:
    content = CONTAINERS[container]((PROGRAMS | CALLS)[program])
    Path("evil.pth").write_bytes(content)
    assert "tar format" in refused("evil.pth") or "tensors only" in refused("evil.pth")
    assert no_canary()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_suffix_opens_a_way_in(suffix: str) -> None:
    for container in CONTAINERS.values():
        path = Path("evil").with_suffix(suffix)
        path.write_bytes(container(PROGRAMS["os.system"]))
        refused(path)
        assert no_canary()


def test_the_environment_opens_no_way_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    Path("evil.pth").write_bytes(as_zip(PROGRAMS["os.system"]))
    assert "os.system" in refused("evil.pth") or "posix.system" in refused("evil.pth")
    assert no_canary()


def test_the_command_refuses_a_program_in_one_sentence(
    frx: Callable[..., tuple[int, str, str]],
) -> None:
    images.write("face.png", SyntheticFaces(size=32)[0]["clean"])
    Path("evil.pth").write_bytes(as_zip(PROGRAMS["eval"]))
    code, _, stderr = frx("restore", "face.png", "-o", "out", "--model", "evil.pth")
    assert code == 3
    assert "it asks for eval, and weights may hold tensors only" in " ".join(stderr.split())
    assert "Traceback" not in stderr
    assert no_canary()


@pytest.mark.parametrize(
    "others",
    [
        {
            "constants.pkl": bare(b")"),
            "code____torch__.py": b"import os; os.system('touch canary')",
        },
        {"constants.pkl": bare(PROGRAMS["os.system"])},
    ],
)
def test_torchscript_is_refused_with_a_way_out(others: dict[str, bytes]) -> None:
    Path("script.pt").write_bytes(as_zip(b"}", **others))
    text = refused("script.pt")
    assert "TorchScript" in text
    assert ".safetensors" in text
    assert no_canary()


def test_a_real_torchscript_file_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has given it up
        torch.jit.script(torch.nn.Conv2d(3, 3, 1)).save("script.pt")
    assert "TorchScript" in refused("script.pt")


def test_a_torch_package_is_refused() -> None:
    from torch.package import PackageExporter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what torch has given up
        with PackageExporter("package.pt") as package:
            package.save_source_string("evil", "import os\nos.system('touch canary')")
            package.save_pickle("data", "data.pkl", WEIGHTS)
    refused("package.pt")
    assert no_canary()


def test_a_file_inside_a_file_is_not_opened() -> None:
    inner = as_zip(PROGRAMS["os.system"])
    Path("evil.pth").write_bytes(as_zip(b"}", **{"data__0": inner, "inner.pth": inner}))
    assert "no named tensors" in refused("evil.pth")
    with zipfile.ZipFile("outer.pth", "w") as archive:
        archive.writestr("network/network.pth", inner)
    refused("outer.pth")
    assert no_canary()


def test_a_storage_that_names_a_function_is_refused() -> None:
    storage = b"(" + text(b"storage") + SYSTEM + text(b"0") + text(b"cpu") + b"K\x01tQ"
    Path("evil.pth").write_bytes(as_zip(storage))
    assert "system" in refused("evil.pth")


# Files that are too much, or not what they say ----------------------------------------------------


def with_attributes(**attributes: bytes) -> bytes:
    """An OrderedDict whose own attributes stand in place of its methods."""
    entries = b"".join(text(key.encode()) + value for key, value in attributes.items())
    return call(name("collections.OrderedDict")) + b"}(" + entries + b"ub"


def test_methods_that_a_file_brings_along_are_not_called() -> None:
    Path("evil.pth").write_bytes(
        as_zip(with_attributes(items=b"K\x05", get=b"K\x05", keys=b"K\x05"))
    )
    assert "no named tensors" in refused("evil.pth")


def compressed(content: Any) -> Path:
    """As torch.save writes, and then compressed."""
    torch.save(content, "plain.pth")
    with (
        zipfile.ZipFile("plain.pth") as plain,
        zipfile.ZipFile("network.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for each in plain.namelist():
            packed.writestr(each, plain.read(each))
    return Path("network.pth")


def test_what_would_unpack_to_far_more_is_refused() -> None:
    path = compressed({"weight": torch.zeros(25_000_000)})
    assert path.stat().st_size < 200_000
    assert "unpack to 0.1 GB" in refused(path)


def test_a_compressed_file_is_read() -> None:
    """Some publishers compress, though PyTorch does not."""
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    path = compressed({"weight": weight})
    assert path.stat().st_size < weight.nbytes
    assert torch.equal(load_tensors(path)["weight"], weight)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(1_000_000, 1_000_000),
        torch.empty(1_000_000, 1_000_000, device="meta"),
        torch.eye(3).to_sparse(),
    ],
    ids=["expanded", "without numbers", "sparse"],
)
def test_a_tensor_without_all_its_numbers_in_the_file_is_refused(tensor: Tensor) -> None:
    torch.save({"weight": tensor}, "network.pth")
    assert "weight is not a plain tensor" in refused("network.pth")


def header(entries: Any, numbers: bytes = b"", size: int | None = None) -> bytes:
    """A .safetensors file: the header's length, the header as JSON, the numbers."""
    written = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(written) if size is None else size) + written + numbers


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        header({}, size=100_000_000),
        header(b"{" + b" " * 100_000_000 + b"}"),
        header({}, size=2**63),
        header({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
        header({"a": entry([2], 0, 8), "b": entry([2], 16, 24)}, bytes(24)),
        header({"a": entry([2**40, 2**40], 0, 8)}, bytes(8)),
        header({"a": entry([2**31, 2**31, 4], 0, 8)}, bytes(8)),
        header({"a": entry([-2], 0, 8)}, bytes(8)),
        header({"a": entry([2], 8, 0)}, bytes(8)),
        header({"a": entry([2000], 0, 8000)}, bytes(8)),
        header({"a": entry([2], 0, 8, "pickle")}, bytes(8)),
        header(b"[" * 100_000),
        header(b"\xff\xfe"),
        b"",
        b"\x08",
    ],
    ids=[
        *("header longer than the file", "header of 100 MB", "header of 2^63", "overlapping"),
        *("a gap", "2^80 numbers", "product overflows", "negative", "backwards", "past the end"),
        *("unknown format", "nested", "no text", "empty", "cut off"),
    ],
)
def test_a_safetensors_file_that_lies_is_refused(content: bytes) -> None:
    Path("network.safetensors").write_bytes(content)
    refused("network.safetensors")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "web page"),
        (b"\n <html>log in</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
        (b"", "empty or cut off"),
    ],
)
def test_what_a_failed_download_leaves_is_named(content: bytes, says: str) -> None:
    for suffix in (".pth", ".safetensors"):
        path = Path("network").with_suffix(suffix)
        path.write_bytes(content)
        if content or suffix == ".pth":
            assert says in refused(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_no_damage_is_more_than_a_sentence(suffix: str) -> None:
    """Bytes changed or cut off anywhere: the file is refused or, where it holds numbers, read."""
    path = Path("network").with_suffix(suffix)
    save_file(WEIGHTS, path) if suffix == ".safetensors" else torch.save(WEIGHTS, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    sentences = []
    for number in range(150):
        damaged = bytearray(whole)
        if number % 3 == 0:
            damaged = damaged[: int(rng.integers(len(whole)))]
        else:
            for _ in range(int(rng.integers(1, 20))):
                damaged[int(rng.integers(len(whole)))] = int(rng.integers(256))
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            load_tensors(path)
            continue
        sentences.append(refused(path))
    assert len(sentences) >= 50  # those cut off at least
