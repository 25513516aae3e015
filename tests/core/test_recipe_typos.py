"""A slip of the finger in any key of any recipe that comes with frx: what is said of it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))
KEY = r'[A-Za-z0-9_-]+|"[^"]*"'
KEYS = re.compile(rf"(?<![\w.\"'-])(?:{KEY})(?:\.(?:{KEY}))*(?=\s*=)")  # dotted, before its "="
HEADER = re.compile(r"\s*\[+([^\]]*)\]+")

NETWORKS = ("discriminator",)  # a trainer's, which `frx check` asks after the recipe is read


@frozen
class Word:
    """A part of a key, where it stands, and the profile that has to be chosen for it to count."""

    line: int
    start: int
    text: str
    profile: str


def words(text: str) -> Iterator[Word]:
    """Every part of at least five letters that frx, and not the recipe's author, named."""
    own = {*re.findall(r'^name = "(.*)"', text, re.M), *NETWORKS}  # of stages, too
    profile = ""
    for number, line in enumerate(text.split("\n"), start=1):
        code = re.sub(r'"[^"]*"', lambda found: "x" * len(found[0]), line).partition("#")[0]
        header = HEADER.match(code)
        if header:
            found = [(header.start(1), header[1])]
            profile = line[header.start(1) :].split("]")[0].partition("profiles.")[2]
        else:
            found = [(match.start(), match[0]) for match in KEYS.finditer(code)]
        for start, dotted in found:
            for part in re.finditer(r"[A-Za-z_]+", dotted):
                word = line[start + part.start() :][: len(part[0])]
                if len(word) >= 5 and word not in (profile, *own):
                    yield Word(number, start + part.start(), word, profile)


def slip(word: str, rng: random.Random) -> str:
    """The word with two letters swapped, one dropped, doubled, or another in its place."""
    while True:
        at = rng.randrange(len(word))
        before, letter, after = word[:at], word[at], word[at + 1 :]
        wrong = {
            "swap": before + after[:1] + letter + after[1:],
            "drop": before + after,
            "double": before + letter * 2 + after,
            "replace": before + rng.choice("abcdefghijklmnopqrstuvwxyz_") + after,
        }[rng.choice(["swap", "drop", "double", "replace"])]
        if wrong != word:
            return wrong


ALL = [(path, word) for path in RECIPES for word in words(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "count",
    [100, pytest.param(2 * len(ALL), marks=[pytest.mark.soak, pytest.mark.timeout(3000)])],
    ids=["some", "many"],
)
def test_a_slip_in_a_key_is_answered_with_the_right_key(
    count: int, frx: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    rng = random.Random(9)
    chosen = [*ALL * (count // len(ALL)), *rng.sample(ALL, count % len(ALL))]
    missed = []
    for path, word in chosen:
        lines = path.read_text(encoding="utf-8").split("\n")
        line, end = lines[word.line - 1], word.start + len(word.text)
        lines[word.line - 1] = f"{line[: word.start]}{slip(word.text, rng)}{line[end:]}"
        file = tmp_path / path.name
        file.write_text("\n".join(lines), encoding="utf-8")
        code, _, said = frx("check", str(file), *(["--profile", word.profile] * bool(word.profile)))
        assert "Traceback" not in said
        right = re.compile(
            rf'^(?:frx: )?{re.escape(str(file))}:{word.line}: .*did you mean "{word.text}"', re.M
        )
        if code != 2 or not right.search(said):
            missed.append(f"{path.name}: {lines[word.line - 1]}: {said}")
    print(f"{count - len(missed)} of {count} slips were answered with the right key")
    assert len(missed) <= 0.05 * count, "\n".join(missed)


def test_every_kind_of_key_is_among_those_that_are_misspelt() -> None:
    texts = {word.text for _, word in ALL}
    assert len(ALL) > 400
    assert {"stages", "losses", "batch_size", "profiles", "extends", "degradations"} <= texts
    assert {"width", "every_batches", "betas", "samples"} <= texts
