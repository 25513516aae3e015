"""The page of restored photographs, as a browser takes it apart."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest
from PIL import Image

from frx import images
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import ResourceError
from frx.restoring import page
from frx.restoring.record import FaceRecord, FileRecord

VOID = {"meta", "img", "input"}
FACE = FaceRecord((10.0, 20.0, 60.0, 80.0), 0.98, 61.5, 0.83)


class Elements(HTMLParser):
    """Start tags with their attributes, and the text that is not style or script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attributes}))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.text += " "
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._inside[-1:]):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.found if found == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def pictures(self) -> list[np.ndarray]:
        """What the <img> show, in the order of the page."""
        return [picture_in(image["src"]) for image in self.all("img")]


def picture_in(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
        assert image.format == "JPEG"
        return np.array(image)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


Write = Callable[..., Elements]


@pytest.fixture
def written() -> Write:
    """Write the page of some records and read it."""

    def write(*records: FileRecord, **changes: object) -> Elements:
        given: dict[str, object] = {
            "model": "a model",
            "options": {},
            "missing": None,
            "threshold": 0.5,
        }
        page.write(Path("out/report.html"), records, **given | changes)  # type: ignore[arg-type]
        elements = Elements()
        elements.feed(Path("out/report.html").read_text(encoding="utf-8"))
        elements.close()
        return elements

    return write


def photograph(height: int = 60, width: int = 80) -> np.ndarray:
    return images.resize(SyntheticFaces(size=64)[0]["clean"], height, width)


def restored(
    name: str = "a.png", pixels: np.ndarray | None = None, *faces: FaceRecord, **changes: object
) -> FileRecord:
    """The record of a photograph that is there, and of its negative, which came out."""
    before = photograph() if pixels is None else pixels
    source, output = Path("photos", name), Path("out", name)
    for path, picture in ((source, before), (output, 255 - before)):
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(path, picture)
    height, width = before.shape[:2]
    done = FileRecord(
        str(source), name, "restored", "k", str(output), None, width, height, faces=faces
    )
    return attrs.evolve(done, **changes)


def test_before_and_after_are_in_the_page_with_a_slider(written: Write) -> None:
    elements = written(restored())
    before, after = elements.pictures
    assert before.shape == after.shape == (60, 80, 3)
    assert np.abs(before.astype(int) - photograph()).mean() < 4
    assert np.abs(after.astype(int) - (255 - photograph())).mean() < 4
    assert [image["alt"] for image in elements.all("img")] == ["a.png before", "a.png after"]
    (slider,) = elements.all("input")
    assert slider["type"] == "range"
    assert "a.png" in slider["aria-label"]
    assert "before" in elements.words
    assert "after" in elements.words


def test_the_page_asks_nothing_of_the_network(written: Write) -> None:
    elements = written(restored())
    policies = [each["content"] for each in elements.all("meta") if "http-equiv" in each]
    assert policies == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ]
    # Only what comes after the policy obeys it.
    first = next(n for n, (_, given) in enumerate(elements.found) if "http-equiv" in given)
    assert [tag for tag, _ in elements.found[:first]] == ["html", "meta"]
    assert all(image["src"].startswith("data:") for image in elements.all("img"))
    assert not any("src" in given for given in elements.all("script"))
    assert elements.all("link") == []
    text = Path("out/report.html").read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text


EVIL = [
    "<img src=x onerror=alert(1)>.png",
    '" onmouseover="alert(1).png',
    "' autofocus onfocus='alert(1).png",
    "{{ 7*7 }}{% raw %}.png",
    "--&gt;&amp;.png",
]


@pytest.mark.parametrize("name", EVIL)
def test_names_are_text_and_nothing_else(name: str, written: Write) -> None:
    try:
        pictured = restored(name)
    except ResourceError:
        pytest.skip("this file system takes no such name")
    gone = attrs.evolve(pictured, source=f"no/{name}", output=f"no/{name}")
    text = f"{name}</script></title></style><svg onload=alert(1)>"  # no name may have a slash
    unchanged = FileRecord(name, name, "unchanged", "k", reason=text, notes=(text,))
    failed = FileRecord(name, name, "failed", "k", reason=text)
    texts = {"model": text, "options": {text: text}, "missing": text}
    elements = written(pictured, gone, unchanged, failed, **texts)
    assert elements.text.count(text) == 7  # twice as option, once as all the others
    harmless = written(
        restored("a.png"),
        attrs.evolve(restored("a.png"), source="no/a.png", output="no/a.png"),
        attrs.evolve(unchanged, name="a.png", reason="a", notes=("a",)),
        attrs.evolve(failed, name="a.png", reason="a"),
    )
    kinds = [tag for tag, _ in elements.found if tag not in ("p", "strong")]
    assert kinds == [tag for tag, _ in harmless.found if tag not in ("p", "strong")]
    attributes = {(tag, key) for tag, given in elements.found for key in given}
    assert not {key for _, key in attributes if key.startswith("on") or key == "autofocus"}
    assert attributes == {(tag, key) for tag, given in harmless.found for key in given}
    assert [image["alt"] for image in elements.all("img")] == [f"{name} before", f"{name} after"]
    assert elements.text.count(name) >= 9
    assert "49.png" not in elements.text


def test_names_that_are_no_unicode_are_shown_on_one_line(written: Write) -> None:
    odd = b"\xff\n.png".decode("utf-8", "surrogateescape")
    failed = FileRecord(odd, odd, "failed", "k", reason=f"photos/{odd} is empty")
    elements = written(failed)
    assert r"'\udcff\n.png'" in elements.words
    assert r"photos/\udcff" in elements.words


def test_counts_model_and_options_are_at_the_top(written: Write) -> None:
    changed = attrs.evolve(FACE, likeness=0.31, changed=True)
    elements = written(
        restored("a.png", None, FACE, changed),
        restored("b.png", None, FACE),
        FileRecord("c", "c.png", "unchanged", "k", reason="no face found"),
        FileRecord("d", "d.png", "failed", "k", reason="d.png is empty (0 bytes)"),
        FileRecord("e", "e.png", "failed", "k", reason="e.png is empty (0 bytes)"),
        model="codeformer.pth",
        options={"strength": "0.8", "device": "cpu"},
        missing="Likeness was not measured: put the file here & there.",
    )
    head = elements.words.partition("Before and after")[0]
    assert "codeformer.pth · strength 0.8 · device cpu" in head
    assert "2 restored 1 unchanged 2 failed 3 faces 1 warning" in " ".join(head.split())
    assert "Likeness was not measured: put the file here & there." in head
    assert "Unchanged no face found (1) c.png Failed" in elements.words
    assert "d.png d.png is empty (0 bytes) e.png e.png is empty" in elements.words


def test_a_face_that_changed_is_warned_of_in_plain_words(written: Write) -> None:
    changed = attrs.evolve(FACE, likeness=0.31, changed=True)
    alone = written(restored("a.png", None, changed))
    sentence = "This face may no longer look like the same person (likeness 0.31, below 0.5)."
    assert sentence in alone.words
    second = written(restored("a.png", None, FACE, changed))
    assert "Face 2: this face may no longer look like the same person" in second.words
    unmeasured = attrs.evolve(FACE, likeness=None)
    calm = written(restored("a.png", None, unmeasured), threshold=None)
    assert "no longer" not in calm.words
    assert "1 10, 20 – 60, 80 62 px 0.98 not measured" in calm.words


def test_a_face_is_marked_where_it_is(written: Write) -> None:
    changed = attrs.evolve(FACE, box=(20.0, -6.0, 60.0, 45.0), likeness=0.1, changed=True)
    elements = written(restored("a.png", None, changed))
    marks = [each["style"] for each in elements.all("span") if "style" in each]
    assert marks == ["left: 25.00%; top: 0.00%; width: 50.00%; height: 75.00%"] * 2


def headings(elements: Elements) -> list[str]:
    text = elements.words.partition("Before and after")[2]
    return [word for word in text.split() if word.endswith(".png")]


def test_the_most_worrying_come_first(written: Write) -> None:
    def likeness(*values: float) -> Iterator[FaceRecord]:
        for value in values:
            yield attrs.evolve(FACE, likeness=value, changed=value < 0.5)

    elements = written(
        restored("d.png"),
        restored("c.png", None, *likeness(0.9, 0.6)),
        restored("a.png", None, *likeness(0.45, 0.9)),
        restored("b.png", None, *likeness(0.9, -0.2, 0.49)),
        restored("e.png", None, *likeness(0.55)),
    )
    assert headings(elements) == ["b.png", "a.png", "d.png", "c.png", "e.png"]


def test_sixty_are_pictured_and_the_others_counted(written: Write) -> None:
    one = restored("a.png")
    many = [attrs.evolve(one, name=f"{n}.png") for n in range(page.MAX_PICTURED + 7)]
    elements = written(*many)
    assert len(elements.pictures) == 2 * page.MAX_PICTURED
    assert "7 more photographs are not pictured here; results.jsonl has them all." in elements.words
    all_there = written(*many[: page.MAX_PICTURED])
    assert "not pictured" not in all_there.words


def test_a_photograph_that_is_gone_is_listed_without_pictures(written: Write) -> None:
    there, gone = restored("a.png"), restored("b.png")
    Path("out/b.png").write_bytes(b"no picture")
    elements = written(gone, there)
    assert len(elements.pictures) == 2
    assert "cannot be read any more: out/b.png is no picture" in elements.words.replace("\\", "/")


def test_photographs_lie_as_one_sees_them_and_are_scaled_down(written: Write) -> None:
    big = restored("big.png", photograph(600, 1500))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    Image.fromarray(photograph(300, 500)).save("photos/turned.jpg", exif=exif)
    images.write("out/turned.jpg", images.read_rgb("photos/turned.jpg"))
    turned = FileRecord("photos/turned.jpg", "t.jpg", "restored", "k", "out/turned.jpg")
    shapes = [picture.shape[:2] for picture in written(big, turned).pictures]
    assert shapes == [(400, 1000)] * 2 + [(500, 300)] * 2


def test_before_and_after_of_odd_sizes_are_shown_side_by_side_in_one_frame(written: Write) -> None:
    record = restored("thin.png", photograph(3, 1800))
    images.write("out/thin.png", photograph(6, 3600))
    assert [picture.shape for picture in written(record).pictures] == [(2, 1000, 3)] * 2


def test_even_of_pure_noise_the_page_stays_small(written: Write) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1400, 3), np.uint8)
    noisy = restored("noise.png", noise)
    smooth = restored("smooth.png", cv2.GaussianBlur(noise, (0, 0), 9))
    elements = written(noisy, smooth)
    assert elements.pictures[0].shape[0] < 1000
    assert elements.pictures[2].shape == (1000, 1000, 3)
    for record in (noisy, smooth):
        written(record)
        size = Path("out/report.html").stat().st_size
        assert size * page.MAX_PICTURED < 25_000_000


def test_before_and_after_are_compressed_alike(written: Write) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    record = restored("noise.png", noise)
    images.write("out/noise.png", np.full((700, 700, 3), 90, np.uint8))
    uris = [image["src"] for image in written(record).all("img")]
    tables = []
    for uri in uris:
        with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
            tables.append((image.size, image.quantization))  # type: ignore[attr-defined]
    assert tables[0] == tables[1]


def test_reasons_and_notes_are_said_once_with_all_their_names(written: Write) -> None:
    unchanged = [
        FileRecord(f"{n}", f"u{n}.png", "unchanged", "k", reason="no face found", notes=("CMYK",))
        for n in range(40)
    ]
    elements = written(*unchanged)
    assert elements.text.count("no face found") == 1
    assert "no face found (40)" in elements.words
    assert "CMYK (40)" in elements.words
    assert all(elements.text.count(f"u{n}.png") == 2 for n in range(40))
    assert [("open" in given) for given in elements.all("details")] == [False, False]


def test_a_call_that_restored_nothing_has_a_page(written: Write) -> None:
    elements = written()
    assert "0 restored 0 unchanged 0 failed 0 faces 0 warnings" in elements.words
    assert "Before and after" not in elements.words


def test_a_page_that_cannot_be_written_is_named() -> None:
    Path("out").write_bytes(b"")
    with pytest.raises(ResourceError, match=r"report\.html: cannot be written"):
        page.write(Path("out/report.html"), [], model="m", options={}, missing=None, threshold=None)
