"""Weights files: found, verified, loaded without running code, and fetched from a local server."""

from __future__ import annotations

import hashlib
import http.server
import json
import pickle
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from frx import download, weights
from frx.commands.fetch import command
from frx.errors import DataError, FrxError, ResourceError
from frx.tensor_file import load_tensors

CONTENT = bytes(range(256)) * 10_000  # 2.56 MB: three pieces
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html>please log in</html>"


class Server(http.server.ThreadingHTTPServer):
    """Answers with `CONTENT`, and with a fault where the path asks for one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.broken_off = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up, as they are meant to."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        match self.path.strip("/").split("/")[0]:
            case "missing":
                self.send_error(404)
            case "busy":
                self.send_error(503)
            case "page":
                self._send(PAGE, kind="text/html; charset=utf-8")
            case "disguised_page":
                self._send(PAGE)
            case "moved":
                self.send_response(302)
                self.send_header("Location", "/file")
                self.end_headers()
            case "tampered":
                self._send(CONTENT[:-1] + b"!")
            case "tampered_then_right":
                first = len(self.server.requests) == 1
                self._send(b"?" * len(CONTENT) if first else CONTENT)
            case "longer":
                self._send(CONTENT + b"more")
            case "drip":
                self._start(200, len(CONTENT))
                for byte in CONTENT[:40]:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.02)
            case "silent":
                time.sleep(1)
            case "always_short":
                self._start(200, len(CONTENT))
                self.wfile.write(CONTENT[:1_500_000])
            case "short_once" if self.server.broken_off == 0:
                self.server.broken_off += 1
                self._start(200, len(CONTENT))
                self.wfile.write(CONTENT[:1_500_000])
            case "no_ranges":
                self._send(CONTENT)
            case _ if asked:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                self._start(206, len(CONTENT) - start, start)
                self.wfile.write(CONTENT[start:])
            case _:
                self._send(CONTENT)

    def _send(self, body: bytes, kind: str = "application/octet-stream") -> None:
        self._start(200, len(body), kind=kind)
        self.wfile.write(body)

    def _start(
        self, status: int, length: int, start: int = 0, kind: str = "application/octet-stream"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FRX_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "RETRY_WAIT_S", 0.0)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, server: Server) -> weights.KnownFile:
    known = weights.KnownFile(
        name="toy",
        file="toy.pt",
        url=server.url("file"),
        sha256=SHA256,
        bytes=len(CONTENT),
        what="a toy",
        licence="none",
    )
    monkeypatch.setattr(weights, "KNOWN", {"toy": known})
    return known


def leftovers(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if not p.name.startswith("."))


class TestFetch:
    def test_brings_a_known_file_and_notes_its_hash(
        self, known: weights.KnownFile, cache: Path
    ) -> None:
        seen: list[tuple[int, int | None]] = []

        def progress(chunks: Iterable[bytes], total: int | None) -> Iterator[bytes]:
            for chunk in chunks:
                seen.append((len(chunk), total))
                yield chunk

        fetched = weights.fetch("toy", progress=progress)
        assert fetched == weights.Fetched(
            path=cache / "toy.pt", sha256=SHA256, compared_with="published", new=True
        )
        assert fetched.path.read_bytes() == CONTENT
        assert sum(length for length, _ in seen) == len(CONTENT)
        assert {total for _, total in seen} == {3}
        assert leftovers(cache) == ["toy.pt", "toy.pt.json"]
        assert weights.locate("toy") == fetched.path

    def test_does_not_ask_again(self, known: weights.KnownFile, server: Server) -> None:
        weights.fetch("toy")
        assert weights.fetch("toy").new is False
        assert len(server.requests) == 1

    def test_goes_on_after_the_connection_broke(
        self, known: weights.KnownFile, server: Server
    ) -> None:
        fetched = weights.fetch("toy", url=server.url("short_once"))
        assert fetched.path.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == [None, "bytes=1500000-"]

    def test_goes_on_in_the_next_run(
        self, known: weights.KnownFile, server: Server, cache: Path
    ) -> None:
        with pytest.raises(ResourceError, match=r"first 1\.5 MB are kept"):
            weights.fetch("toy", url=server.url("always_short"))
        assert len(server.requests) == download.TRIES
        assert leftovers(cache) == ["toy.pt.part"]
        weights.fetch("toy")
        assert server.requests[-1] == ("/file", "bytes=1500000-")
        assert leftovers(cache) == ["toy.pt", "toy.pt.json"]

    def test_starts_anew_where_the_server_cannot_resume(
        self, known: weights.KnownFile, server: Server, cache: Path
    ) -> None:
        cache.mkdir(parents=True)
        (cache / "toy.pt.part").write_bytes(CONTENT[:1000])
        assert weights.fetch("toy", url=server.url("no_ranges")).path.read_bytes() == CONTENT

    def test_starts_anew_where_the_piece_at_hand_was_of_another_file(
        self, known: weights.KnownFile, server: Server, cache: Path
    ) -> None:
        cache.mkdir(parents=True)
        (cache / "toy.pt.part").write_bytes(b"x" * 1000)
        assert weights.fetch("toy").path.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["bytes=1000-", None]

    def test_takes_a_piece_that_is_the_whole_file(
        self, known: weights.KnownFile, server: Server, cache: Path
    ) -> None:
        cache.mkdir(parents=True)
        (cache / "toy.pt.part").write_bytes(CONTENT)
        assert weights.fetch("toy").new is True
        assert server.requests == []

    def test_follows_a_redirect(self, known: weights.KnownFile, server: Server) -> None:
        assert weights.fetch("toy", url=server.url("moved")).path.read_bytes() == CONTENT

    @pytest.mark.parametrize(
        ("path", "kind", "sentence", "asked"),
        [
            ("missing", DataError, "answered 404", 1),
            ("busy", ResourceError, "503 .*, 3 times", 3),
            ("page", DataError, "web page instead of a file", 1),
            ("tampered", DataError, f"expected {SHA256}; it has been deleted", 1),
            ("longer", DataError, "holds 2,560,004 bytes, the published file 2,560,000", 1),
        ],
    )
    def test_keeps_nothing_that_is_wrong(
        self,
        known: weights.KnownFile,
        server: Server,
        cache: Path,
        path: str,
        kind: type[FrxError],
        sentence: str,
        asked: int,
    ) -> None:
        with pytest.raises(kind, match=sentence) as raised:
            weights.fetch("toy", url=server.url(path))
        assert str(cache / "toy.pt") in str(raised.value)
        assert "\n" not in str(raised.value)
        assert len(server.requests) == asked
        assert leftovers(cache) == []

    @pytest.mark.parametrize("path", ["drip", "silent"])
    def test_gives_up_on_a_server_that_stalls(
        self,
        known: weights.KnownFile,
        server: Server,
        monkeypatch: pytest.MonkeyPatch,
        path: str,
    ) -> None:
        monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
        monkeypatch.setattr(download, "TRIES", 1)
        with pytest.raises(ResourceError, match=r"bytes came in|silence for 0\.2 s"):
            weights.fetch("toy", url=server.url(path))

    def test_says_what_cannot_be_reached(self, known: weights.KnownFile, server: Server) -> None:
        url = server.url("file")
        server.shutdown()
        server.server_close()
        with pytest.raises(ResourceError, match=r"connection failed .*refused.*3 times"):
            weights.fetch("toy", url=url)

    def test_honours_offline(
        self, known: weights.KnownFile, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FRX_OFFLINE", "1")
        with pytest.raises(ResourceError, match="FRX_OFFLINE is set"):
            weights.fetch("toy")
        assert server.requests == []

    @pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/x", "x.pt"])
    def test_refuses_other_addresses(self, known: weights.KnownFile, url: str) -> None:
        with pytest.raises(DataError, match="https://"):
            weights.fetch("toy", url=url)

    def test_two_at_once_fetch_once(self, known: weights.KnownFile, server: Server) -> None:
        results: list[weights.Fetched] = []
        threads = [
            threading.Thread(target=lambda: results.append(weights.fetch("toy"))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(fetched.new for fetched in results) == [False, False, False, True]
        assert len(server.requests) == 1

    def test_replaces_a_damaged_file(self, known: weights.KnownFile, cache: Path) -> None:
        weights.fetch("toy").path.write_bytes(b"damaged")
        with pytest.raises(DataError, match=r"damaged or another file.*frx fetch toy"):
            weights.locate("toy")
        assert weights.fetch("toy").new is True
        assert weights.locate("toy").read_bytes() == CONTENT


class TestOwnNames:
    def test_trust_on_first_use_holds_from_then_on(self, server: Server, cache: Path) -> None:
        fetched = weights.fetch("mine.pt", url=server.url("file"))
        assert (fetched.compared_with, fetched.sha256) == ("nothing", SHA256)
        assert weights.locate("mine.pt") == cache / "mine.pt"
        assert weights.fetch("mine.pt", url=server.url("tampered")).new is False
        fetched.path.write_bytes(CONTENT[:-1] + b"!")
        with pytest.raises(DataError, match=f"expected {SHA256}"):
            weights.locate("mine.pt")

    def test_given_hash_is_asked_for(self, server: Server, cache: Path) -> None:
        url = server.url("tampered")
        with pytest.raises(DataError, match="not the published file"):
            weights.fetch("mine.pt", url=url, sha256=SHA256.upper())
        assert leftovers(cache) == []
        fetched = weights.fetch("mine.pt", url=server.url("file"), sha256=SHA256.upper())
        assert fetched.compared_with == "given"

    def test_a_disguised_page_is_not_trusted(self, server: Server, cache: Path) -> None:
        with pytest.raises(DataError, match="web page"):
            weights.fetch("mine.pt", url=server.url("disguised_page"))
        assert leftovers(cache) == []

    @pytest.mark.parametrize("name", ["../x.pt", "a/b.pt", ".hidden.pt", "mine", "", "a\\b.pt"])
    def test_names_stay_inside_the_cache(self, server: Server, name: str) -> None:
        with pytest.raises(DataError, match="plain"):
            weights.fetch(name, url=server.url("file"))
        assert server.requests == []

    def test_a_known_name_keeps_its_hash(self, known: weights.KnownFile, server: Server) -> None:
        with pytest.raises(DataError, match="under a different name"):
            weights.fetch("toy", sha256="0" * 64)

    def test_a_hash_has_64_digits(self, server: Server) -> None:
        with pytest.raises(DataError, match="64 hexadecimal digits"):
            weights.fetch("mine.pt", url=server.url("file"), sha256="abc")


class TestLocate:
    def test_missing_says_what_to_do(self, known: weights.KnownFile, cache: Path) -> None:
        with pytest.raises(DataError) as raised:
            weights.locate("toy")
        for part in ("toy.pt", str(cache), "`frx fetch toy`", "2.6 MB"):
            assert part in str(raised.value)

    def test_unknown_says_where_it_looked(self, cache: Path) -> None:
        with pytest.raises(DataError, match=r"nowhere\.pt, neither at that path nor in .*weights"):
            weights.locate("nowhere.pt")
        with pytest.raises(DataError):
            weights.locate("../weights/../../secret.pt")

    def test_a_path_is_taken_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "own.pt").write_bytes(b"anything")
        assert weights.locate(tmp_path / "own.pt") == tmp_path / "own.pt"

    def test_a_file_put_there_by_hand_is_verified(
        self, known: weights.KnownFile, cache: Path
    ) -> None:
        cache.mkdir(parents=True)
        (cache / "toy.pt").write_bytes(CONTENT)
        assert weights.locate("toy.pt") == cache / "toy.pt"
        assert json.loads((cache / "toy.pt.json").read_text())["sha256"] == SHA256

    def test_hashes_a_file_once(
        self, known: weights.KnownFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = weights.fetch("toy").path
        hashed: list[Path] = []

        def watched(path: Path) -> str:
            hashed.append(path)
            return download.sha256_of(path)

        monkeypatch.setattr(weights, "sha256_of", watched)
        weights.locate("toy")
        assert hashed == []
        path.touch()
        weights.locate("toy")
        weights.locate("toy")
        assert hashed == [path]

    def test_a_torn_note_only_costs_a_hash(self, known: weights.KnownFile) -> None:
        path = weights.fetch("toy").path
        path.with_name("toy.pt.json").write_text('{"sha2')
        assert weights.locate("toy") == path


class Evil:
    """Would write a file if it were unpickled carelessly."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.canary,))


class TestLoadTensors:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}  # noqa: RUF012

    @pytest.mark.parametrize("wrap", [None, "state_dict", "net_state_dict", "params", "params_ema"])
    def test_unwraps(self, tmp_path: Path, wrap: str | None) -> None:
        torch.save({wrap: self.tensors, "epoch": 3} if wrap else self.tensors, tmp_path / "w.pt")
        loaded = load_tensors(tmp_path / "w.pt")
        assert list(loaded) == ["a.weight", "a.bias"]
        assert torch.equal(loaded["a.weight"], self.tensors["a.weight"])

    def test_prefers_the_averaged_weights(self, tmp_path: Path) -> None:
        torch.save(
            {"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}, tmp_path / "w"
        )
        assert load_tensors(tmp_path / "w")["a"].item() == 1

    def test_takes_off_the_prefix_of_data_parallel(self, tmp_path: Path) -> None:
        torch.save({f"module.{k}": v for k, v in self.tensors.items()}, tmp_path / "w.pth")
        assert list(load_tensors(tmp_path / "w.pth")) == ["a.weight", "a.bias"]

    def test_reads_safetensors(self, tmp_path: Path) -> None:
        save_file(self.tensors, tmp_path / "w.safetensors")
        loaded = load_tensors(tmp_path / "w.safetensors")
        assert torch.equal(loaded["a.bias"], self.tensors["a.bias"])

    @pytest.mark.parametrize("suffix", ["pt", "safetensors"])
    @pytest.mark.parametrize("kept", [0, 10, 0.5, -1])
    def test_damage_is_one_sentence(self, tmp_path: Path, suffix: str, kept: float) -> None:
        path = tmp_path / f"w.{suffix}"
        torch.save(self.tensors, path) if suffix == "pt" else save_file(self.tensors, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept) if kept == 0.5 else int(kept)])
        with pytest.raises(DataError) as raised:
            load_tensors(path)
        assert str(raised.value).startswith(f"cannot read the weights in {path}: ")
        assert len(str(raised.value)) > len(f"cannot read the weights in {path}: ") + 5
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_runs_no_code(self, tmp_path: Path, zipped: bool) -> None:
        canary, path = tmp_path / "canary", tmp_path / "evil.pt"
        if zipped:
            torch.save({"a": Evil(canary)}, path)
        else:
            path.write_bytes(pickle.dumps({"a": Evil(canary)}))
        with pytest.raises(DataError, match=r"asks for .*tensors only") as raised:
            load_tensors(path)
        assert not canary.exists()
        assert "weights_only" not in str(raised.value)

    @pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], torch.zeros(3)])
    def test_refuses_what_is_no_weights_file(self, tmp_path: Path, content: object) -> None:
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(DataError, match="holds no named tensors"):
            load_tensors(tmp_path / "w.pt")

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            load_tensors(tmp_path / "none.pt")


class TestTable:
    def test_every_known_file_has_a_hash_and_a_pinned_address(self) -> None:
        assert set(weights.KNOWN) == {
            *("inception_resnet_v1", "edgeface_xs", "edgeface_xxs"),
            "vgg19",
            "alexnet",
            "vgg16",
            "squeezenet1_1",
            "inception_v3_fid",
            "niqe",
        }
        for known in weights.KNOWN.values():
            assert known.url.startswith("https://")
            assert known.url.endswith(f"/{known.file}")
            assert len(known.sha256 or "") == (8 if known.name == "vgg19" else 64)
            assert "/main/" not in known.url

    def test_of_a_hash_the_beginning_is_enough(
        self,
        known: weights.KnownFile,
        cache: Path,
        server: Server,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for begins, agrees in ((SHA256[:8], True), ("0" * 8, False)):
            table = {"toy": attrs.evolve(known, sha256=begins)}
            monkeypatch.setattr(weights, "KNOWN", table)
            if agrees:
                fetched = weights.fetch("toy")
                assert (fetched.compared_with, fetched.sha256) == ("published", SHA256)
                assert weights.locate("toy") == cache / "toy.pt"
                assert not weights.fetch("toy", sha256=SHA256).new
            else:
                with pytest.raises(DataError, match=f"expected {begins}"):
                    weights.locate("toy")
                with pytest.raises(DataError, match=f"expected {begins}; it has been deleted"):
                    weights.fetch("toy")

    def test_entries_cannot_be_changed(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            weights.KNOWN["edgeface_xs"].sha256 = None  # type: ignore[misc]


class TestCommand:
    def test_lists(self, known: weights.KnownFile, cache: Path) -> None:
        before = CliRunner().invoke(command, [])
        assert before.exit_code == 0
        for part in ("toy", "2.6 MB", "not in the cache", "a toy", str(cache)):
            assert part in before.output
        weights.fetch("toy")
        assert "not in the cache" not in CliRunner().invoke(command, []).output

    def test_fetches(self, known: weights.KnownFile, cache: Path) -> None:
        result = CliRunner().invoke(command, ["toy"])
        assert result.exit_code == 0, result.output
        assert f"toy is now in {cache / 'toy.pt'}" in result.output
        assert "the published one" in result.output

    def test_prints_the_hash_it_could_not_compare(self, server: Server) -> None:
        result = CliRunner().invoke(command, ["my.pt", "--url", server.url("file")])
        assert result.exit_code == 0, result.output
        assert SHA256 in result.output

    def test_failure_is_left_to_the_caller(self, known: weights.KnownFile, server: Server) -> None:
        result = CliRunner().invoke(command, ["toy", "--url", server.url("missing")])
        assert isinstance(result.exception, DataError)

    def test_one_address_is_for_one_name(self) -> None:
        result = CliRunner().invoke(command, ["a.pt", "b.pt", "--url", "https://x/y"])
        assert result.exit_code == 2
