"""`results.jsonl`: what became of each photograph, kept over interrupted calls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest

from frx import images
from frx.errors import DataError, ResourceError
from frx.restoring.record import FaceRecord, FileRecord, Results, key_of

FACES = (
    FaceRecord((10.0, 20.5, 60.0, 80.0), 0.98, 61.5, 0.83),
    FaceRecord((90.0, 20.0, 130.0, 70.0), 0.7, 55.0, None),
)


def record(source: str = "photos/a.png", **changes: object) -> FileRecord:
    done = FileRecord(
        source=source,
        name=Path(source).name,
        status="restored",
        key="k1",
        output=f"out/{Path(source).name}",
        width=200,
        height=100,
        faces=FACES,
        notes=("first of 2 frames",),
        seconds=1.25,
    )
    return attrs.evolve(done, **changes)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is not there yet; the photographs below are written beside it."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        (tmp_path / "out").mkdir(exist_ok=True)
        images.write(f"out/{name}", np.zeros((4, 4, 3), np.uint8))
    return tmp_path / "out" / "results.jsonl"


def sources(path: Path) -> list[str]:
    return [json.loads(line)["source"] for line in path.read_text(encoding="ascii").splitlines()]


def test_a_record_is_a_line_of_json_as_soon_as_it_is_added(path: Path) -> None:
    with Results.open(path) as results:
        results.add(record())
        (line,) = path.read_text(encoding="ascii").splitlines()
        assert json.loads(line) == {
            "source": "photos/a.png",
            "name": "a.png",
            "status": "restored",
            "key": "k1",
            "output": "out/a.png",
            "reason": None,
            "width": 200,
            "height": 100,
            "faces": [
                {
                    "box": [10.0, 20.5, 60.0, 80.0],
                    "confidence": 0.98,
                    "side_px": 61.5,
                    "likeness": 0.83,
                    "changed": False,
                },
                {
                    "box": [90.0, 20.0, 130.0, 70.0],
                    "confidence": 0.7,
                    "side_px": 55.0,
                    "likeness": None,
                    "changed": False,
                },
            ],
            "notes": ["first of 2 frames"],
            "seconds": 1.25,
        }


def test_a_later_call_gets_the_same_records_back(path: Path) -> None:
    odd = b"photos/\xff\xe9 \n\xe2\x82\xac.png".decode("utf-8", "surrogateescape")
    left = [record(), record(odd, status="failed", reason=f"{odd} is empty", output=None, faces=())]
    with Results.open(path) as results:
        for each in left:
            results.add(each)
    with Results.open(path) as results:
        assert sorted(results.records, key=lambda r: r.status) == sorted(
            left, key=lambda r: r.status
        )
    assert os.fsencode(odd) in {os.fsencode(source) for source in sources(path)}


def test_only_what_was_done_in_the_same_way_and_is_still_there_is_done(path: Path) -> None:
    with Results.open(path) as results:
        results.add(record())
        results.add(record("photos/b.png", status="failed", reason="damaged picture"))
        results.add(record("photos/c.png"))  # of which out/c.png was deleted since
        results.add(record("photos/d.png", status="unchanged", output=None, reason="no face found"))
    with Results.open(path) as results:
        assert results.done("photos/a.png", "k1") == record()
        assert results.done("photos/a.png", "k2") is None
        assert results.done("photos/b.png", "k1") is None
        assert results.done("photos/c.png", "k1") is None
        assert results.done("photos/e.png", "k1") is None
        assert results.done("photos/d.png", "k1") is not None
        results.add(record(status="failed", reason="out of memory"))
        assert results.done("photos/a.png", "k1") is None


def test_another_key_is_that_of_another_photograph_mask_or_setting(path: Path) -> None:
    photo, mask = Path("out/a.png"), Path("out/b.png")
    key = key_of([photo, mask], "model 1")
    assert key_of([photo, mask], "model 1") == key
    changed = {key, key_of([photo], "model 1"), key_of([photo, mask], "model 2")}
    os.utime(mask, ns=(0, 1_000))
    changed.add(key_of([photo, mask], "model 1"))
    photo.write_bytes(photo.read_bytes() + b" ")
    changed.add(key_of([photo, mask], "model 1"))
    photo.unlink()
    changed.add(key_of([photo, mask], "model 1"))
    odd = Path(os.fsdecode(b"photos/\xff.png"))
    changed.add(key_of([odd, mask], "model 1"))
    assert len(changed) == 7


def test_closing_leaves_the_latest_line_of_each_source_in_their_order(path: Path) -> None:
    with Results.open(path) as results:
        for source in ("p/b.png", "p/a/z.png", "p/c.png"):
            results.add(record(source))
    with Results.open(path) as results:
        results.add(record("p/b.png", key="k2"))
        assert sources(path) == ["p/a/z.png", "p/b.png", "p/c.png", "p/b.png"]
    assert sources(path) == ["p/a/z.png", "p/b.png", "p/c.png"]
    assert json.loads(path.read_text().splitlines()[1])["key"] == "k2"


@pytest.mark.parametrize(
    "foreign",
    [
        b'{"source": "photos/b.png", "name": "b.p',
        b'{"source": "photos/b.png"}',
        b'{"source": "photos/b.png", "name": "b.png", "status": "eaten", "key": "k"}',
        b'{"source": 3, "name": "b.png", "status": "restored", "key": "k"}',
        b"[1, 2, 3]",
        b"\xff\x00\xfe",
        b"[" * 100_000,
        b"",
    ],
    ids=["half", "too little", "status", "type", "list", "bytes", "deep", "empty"],
)
@pytest.mark.parametrize("end", [b"", b"\n"], ids=["at the end", "a line"])
def test_lines_nobody_understands_cost_nothing_but_themselves(
    path: Path, foreign: bytes, end: bytes
) -> None:
    with Results.open(path) as results:
        results.add(record())
    path.write_bytes(path.read_bytes() + foreign + end)
    with Results.open(path) as results:
        results.add(record("photos/c.png"))
        assert sources(path) == ["photos/a.png", "photos/c.png"]  # all of it whole lines
    with Results.open(path) as results:
        assert results.records == [record(), record("photos/c.png")]


def test_a_whole_last_line_without_its_line_break_counts(path: Path) -> None:
    with Results.open(path) as results:
        results.add(record())
    path.write_bytes(path.read_bytes().rstrip())
    with Results.open(path) as results:
        assert results.done("photos/a.png", "k1") == record()


def test_who_is_killed_keeps_what_was_done(path: Path) -> None:
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from frx.restoring.record import FileRecord, Results\n"
        f"results = Results.open(Path({str(path)!r}))\n"
        "for name in 'abc':\n"
        "    results.add(FileRecord(name, name, 'unchanged', 'k'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    with Results.open(path) as results:
        assert [name for name in "abcd" if results.done(name, "k")] == ["a", "b", "c"]


def test_a_full_disk_is_said_and_leaves_whole_lines(path: Path) -> None:
    pytest.importorskip("resource")  # which not every system has
    with Results.open(path) as results:
        results.add(record())
    size = path.stat().st_size
    code = (
        "import resource, signal\n"
        "from pathlib import Path\n"
        "from frx.errors import ResourceError\n"
        "from frx.restoring.record import FileRecord, Results\n"
        f"results = Results.open(Path({str(path)!r}))\n"
        # As a disk that takes ten more bytes.
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 10}, {size + 10}))\n"
        "try:\n"
        "    results.add(FileRecord('b', 'b', 'unchanged', 'k'))\n"
        "except ResourceError as error:\n"
        "    assert results.done('b', 'k') is None\n"
        "    print(error)\n"
    )
    full = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert full.stdout.startswith(f"{path}: cannot be written: "), full.stderr
    assert path.stat().st_size == size
    assert sources(path) == ["photos/a.png"]


def test_a_folder_where_the_file_should_be_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DataError, match=r"results\.jsonl: cannot be read .*choose another -o"):
        Results.open(path)


def test_a_folder_that_cannot_be_written_is_named_before_the_first_photograph(path: Path) -> None:
    (path.parent / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match=r"file.results\.jsonl: cannot be written"):
        Results.open(path.parent / "file" / "results.jsonl")
