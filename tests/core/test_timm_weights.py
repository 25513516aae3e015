"""`frx fetch timm/NAME`: a hub is asked for size and hash, and the file comes from a local server."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save

from frx import download, timm_weights, weights
from frx.commands.fetch import command
from frx.errors import DataError, FrxError, ResourceError
from frx.tensor_file import load_tensors

FILE = save({"conv1.weight": torch.linspace(-1, 1, 400_000)})  # 1.6 MB: two pieces
SHA256 = hashlib.sha256(FILE).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "timm/resnet10t.c3_in1k"


class Hub(http.server.ThreadingHTTPServer):
    """Answers as huggingface.co does: what it is asked about a file, it tells in headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.file = "model.safetensors"
        self.told = SHA256
        self.status = 302
        self.broken_off = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up, as they are meant to."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.server.asked.append(("HEAD", self.path))
        if self.path.startswith("/timm/old_name/"):  # a repository that was renamed
            self._answer(307, Location=self.path.replace("old_name", "resnet10t.c3_in1k"))
        elif self.server.status != 302:
            self._answer(self.server.status)
        elif not self.path.endswith(f"/{self.server.file}"):
            self._answer(404)
        else:
            told = {"X-Linked-Etag": f'"{self.server.told}"', "X-Linked-Size": str(len(FILE))}
            self._answer(302, Location="/bytes", **{"X-Repo-Commit": COMMIT}, **told)

    def do_GET(self) -> None:
        begins = self.headers.get("Range", "bytes=0-")
        self.server.asked.append(("GET", f"{self.path} {begins}"))
        if self.path != "/bytes":
            self._answer(302, Location="/bytes")
            return
        start = int(begins.removeprefix("bytes=").removesuffix("-"))
        part = {"Content-Range": f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"} if start else {}
        self._answer(206 if start else 200, **{"Content-Length": str(len(FILE) - start)}, **part)
        broken_off, self.server.broken_off = self.server.broken_off, False
        self.wfile.write(FILE[start : 1_000_000 if broken_off else None])

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub
        hub.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FRX_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "RETRY_WAIT_S", 0.0)
    return tmp_path / "cache" / "weights"


def visible(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if not p.name.startswith("."))


def test_it_comes_with_the_hash_that_the_hub_tells(hub: Hub, cache: Path) -> None:
    fetched = weights.fetch(NAME)
    path = cache / "timm-resnet10t.c3_in1k.safetensors"
    assert fetched == weights.Fetched(path=path, sha256=SHA256, compared_with="published", new=True)
    assert path.read_bytes() == FILE
    assert visible(cache) == [path.name, f"{path.name}.json"]
    place = f"/timm/resnet10t.c3_in1k/resolve/{COMMIT}/model.safetensors"
    assert hub.asked == [
        ("HEAD", "/timm/resnet10t.c3_in1k/resolve/main/model.safetensors"),
        ("GET", f"{place} bytes=0-"),
        ("GET", "/bytes bytes=0-"),
    ]
    assert json.loads((cache / f"{path.name}.json").read_text())["url"] == hub.address + place
    assert weights.locate(NAME) == path


def test_without_a_trainings_name_timms_first_choice_is_meant(hub: Hub, cache: Path) -> None:
    assert weights.fetch("timm/resnet10t").path == cache / "timm-resnet10t.c3_in1k.safetensors"
    assert weights.locate("timm/resnet10t") == weights.locate(NAME)


def test_what_is_there_is_not_asked_for_again(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.fetch(NAME)
    hub.asked.clear()
    monkeypatch.setenv("FRX_OFFLINE", "1")
    again = weights.fetch(NAME)
    assert (again.new, again.compared_with) == (False, "published")
    assert hub.asked == []


def test_a_file_put_there_by_hand_is_compared_with_the_hub(hub: Hub, cache: Path) -> None:
    cache.mkdir(parents=True)
    path = cache / "timm-resnet10t.c3_in1k.safetensors"
    path.write_bytes(FILE)
    assert weights.fetch(NAME).new is False
    path.write_bytes(FILE[:-1])
    assert weights.fetch(NAME).new is True
    assert path.read_bytes() == FILE


def test_a_file_that_changed_is_refused_and_fetched_anew(hub: Hub, cache: Path) -> None:
    path = weights.fetch(NAME).path
    path.write_bytes(FILE[:-1])
    with pytest.raises(DataError, match=rf"damaged or another file.*`frx fetch {NAME}`"):
        weights.locate(NAME)
    assert weights.fetch(NAME).new is True
    assert weights.locate(NAME).read_bytes() == FILE


def test_bytes_of_another_hash_are_thrown_away(hub: Hub, cache: Path) -> None:
    hub.told = "0" * 64
    with pytest.raises(DataError, match=f"has SHA-256 {SHA256}, expected 0+; it has been deleted"):
        weights.fetch(NAME)
    assert visible(cache) == []


def test_it_goes_on_where_the_connection_broke(hub: Hub) -> None:
    hub.broken_off = True
    assert weights.fetch(NAME).path.read_bytes() == FILE
    assert hub.asked[-1] == ("GET", "/bytes bytes=1000000-")


def test_an_older_repository_has_only_pytorchs_own_format(hub: Hub, cache: Path) -> None:
    hub.file = "pytorch_model.bin"
    fetched = weights.fetch(NAME)
    assert fetched.path == cache / "timm-resnet10t.c3_in1k.pth"
    assert weights.locate(NAME) == fetched.path
    assert weights.fetch(NAME).new is False


def test_a_repository_is_followed_to_its_new_name(hub: Hub) -> None:
    from frx.hub import listed

    found = listed("timm/old_name", "model.safetensors")
    assert found is not None
    assert (found.sha256, found.bytes) == (SHA256, len(FILE))
    assert hub.asked[-1] == ("HEAD", "/timm/resnet10t.c3_in1k/resolve/main/model.safetensors")


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [(401, DataError, "answered 401"), (503, ResourceError, "answered 503")],
)
def test_a_hub_that_refuses_is_one_sentence(
    hub: Hub, cache: Path, status: int, kind: type[FrxError], sentence: str
) -> None:
    hub.status = status
    with pytest.raises(kind, match=sentence) as raised:
        weights.fetch(NAME)
    assert str(raised.value).startswith(f"{NAME} was not fetched: {hub.address}/timm/")
    assert "\n" not in str(raised.value)


def test_a_hub_without_the_file_or_out_of_reach_is_one_sentence(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.file = "something_else"  # and, unlike many, this network has no other address
    with pytest.raises(DataError, match=r"timm/test_convnext\.r160_in1k has no file of weights"):
        weights.fetch("timm/test_convnext")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match=r"connection failed .*refused"):
        weights.fetch(NAME)
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(DataError, match="HF_ENDPOINT is file:///etc, not an address"):
        weights.fetch(NAME)


def test_offline_nothing_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRX_OFFLINE", "1")
    with pytest.raises(ResourceError, match="FRX_OFFLINE is set"):
        weights.fetch(NAME)
    assert hub.asked == []


def test_another_address_is_taken_at_its_word_or_at_a_given_hash(hub: Hub, cache: Path) -> None:
    url = f"{hub.address}/bytes"
    with pytest.raises(DataError, match="not the published file"):
        weights.fetch(NAME, url=url, sha256="0" * 64)
    fetched = weights.fetch(NAME, url=url, sha256=SHA256)
    assert (fetched.path.name, fetched.compared_with) == ("timm-resnet10t.c3_in1k.pth", "given")
    other = weights.fetch("timm/resnet18", url=url)
    assert (other.path.name, other.compared_with) == ("timm-resnet18.a1_in1k.pth", "nothing")
    assert weights.fetch("timm/resnet18").compared_with == "nothing"
    assert {method for method, _ in hub.asked} == {"GET"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("timm/resnet81", r"timm has no network 'resnet81'; did you mean resnet18, "),
        ("timm/qqqqqqqqq", r"timm has no network 'qqqqqqqqq'; timm\.list_models\(\) has them all"),
        ("timm/resnet18.a9_in1k", r"no training 'a9_in1k' of resnet18; it has a\d_in1k, "),
        ("timm/cs3darknet_s", "timm names no trained weights of cs3darknet_s"),
        ("timm/../secret", "timm has no network"),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused_with_the_nearest(
    hub: Hub, name: str, sentence: str
) -> None:
    for ask in (weights.fetch, weights.locate):
        with pytest.raises(DataError, match=sentence) as raised:
            ask(name)
        assert "\n" not in str(raised.value)
    assert hub.asked == []


def test_a_missing_file_names_the_command_that_brings_it(cache: Path) -> None:
    with pytest.raises(DataError) as raised:
        weights.locate("timm/resnet34.a1_in1k")
    for part in (
        "resnet34.a1_in1k",
        str(cache),
        "`frx fetch timm/resnet34.a1_in1k`",
        'weights = "',
    ):
        assert part in str(raised.value)


def test_all_that_timm_publishes_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def tells_nothing(repository: str, file: str, revision: str) -> Any:
        return hub_file if re.fullmatch(r"[\w.-]+/[\w.-]+", repository) else None

    from frx.hub import Listed

    hub_file = Listed(url="https://hub/model.safetensors", sha256="0" * 64, bytes=1)
    monkeypatch.setattr(timm_weights.hub, "listed", tells_nothing)
    names = timm.list_pretrained()
    assert len(names) > 1000
    files = {timm_weights.known_file(f"timm/{name}").file for name in names[::7]}
    assert len(files) == len(names[::7])
    (released,) = timm_weights._listed(timm.get_pretrained_cfg("gcvit_tiny.in1k"))
    assert released.url.startswith("https://")
    assert released.sha256 == re.findall(r"-(\w{8})\.pth", released.url)[0]


def test_the_command_fetches_and_lists(hub: Hub, cache: Path) -> None:
    result = CliRunner().invoke(command, [NAME])
    assert result.exit_code == 0, result.output
    assert f"{NAME} is now in {cache / 'timm-resnet10t.c3_in1k.safetensors'}" in result.output
    assert "its SHA-256 is the published one" in result.output
    listing = CliRunner().invoke(command, []).output
    assert re.search(r"^timm/resnet10t\.c3_in1k +2 MB +in the cache$", listing, re.MULTILINE)
    assert "any trained network of timm" in listing


def test_the_file_can_be_read(hub: Hub) -> None:
    assert load_tensors(weights.fetch(NAME).path)["conv1.weight"].shape == (400_000,)


@pytest.mark.parametrize("words", [["fetch"], ["fetch", "niqe"]])
def test_timm_is_not_imported_for_anything_else(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from frx.cli import cli\n"
        "try:\n"
        f"    cli.main({words!r}, standalone_mode=False)\n"
        "except Exception as error:\n"
        "    assert 'FRX_OFFLINE' in str(error), error\n"
        "assert not {'timm', 'torch'} & set(sys.modules)\n"
    )
    environment = {"FRX_CACHE": str(tmp_path), "FRX_OFFLINE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
