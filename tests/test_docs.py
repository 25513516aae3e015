"""What the documentation says is what happens: its blocks run, its tables are complete, its site builds."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import attrs
import click
import markdown
import pytest
import torch
from attrs import frozen

from frx import images, testing
from frx.annotation_texts import type_text
from frx.build import Use, default_of, options
from frx.checkpoint import GENERATIONS
from frx.cli import COMMANDS, cli
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.errors import DataError, FrxError
from frx.hooks.checkpoints import SaveCheckpoints
from frx.hooks.log import Log
from frx.hooks.watch import Watch
from frx.lifecycle import plugin_manager
from frx.recipe import STAGE_DEFAULTS, Compared, Compute, Data, LossTerm, Recipe, Stage, load
from frx.recipe_files import profiles
from frx.registry import GROUPS, components, find
from frx.run import Run
from frx.specs import COMPONENT_KINDS, HOOK_SPECS, hookimpl
from frx.tracking import PATIENCE_S
from frx.weights import KNOWN

Frx = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
LANGUAGES = {"python", "toml", "sh", "text"}  # text: what something prints, or a drawing
HOOKS = {
    name: hook for specs in HOOK_SPECS for name, hook in vars(specs).items() if name[:4] == "frx_"
}


@frozen
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that its first line names; empty where it names none."""
        found = re.match(r"# (\S+\.(?:py|toml))\n", self.text)
        return found[1] if found else ""

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    return [
        Block(page, text[: match.start()].count("\n") + 1, match[1], match[2])
        for page, text in PAGES.items()
        for match in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if not languages or match[1] in languages
    ]


def rows(page: str, above: str) -> list[list[str]]:
    """The cells of the first table below a heading or sentence, without its own first two lines."""
    _, _, below = PAGES[page].partition(above)
    assert below, f"{page} has no {above}"
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table
    lines = table[0].splitlines()[2:]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def names(cell: str) -> list[str]:
    """The names in `code` of a cell."""
    return re.findall(r"`([^`]+)`", cell)


# Blocks ------------------------------------------------------------------------------------------


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in blocks()} == LANGUAGES
    assert sum(text.count("```") for text in PAGES.values()) == 2 * len(blocks())
    for page, text in PAGES.items():
        html = markdown.markdown(text, extensions=["fenced_code", "tables"])
        unnamed = re.search(r"<pre><code>.*", html)
        assert not unnamed, f"{page}: a block without a language: {unnamed[0]}"


@pytest.mark.parametrize(
    "block", [b for b in blocks("python") if not b.file], ids=lambda block: block.id
)
def test_python_that_is_no_file_runs_as_it_stands(block: Block) -> None:
    exec(compile(block.text, block.id, "exec"), {})


TOML = [block for block in blocks("toml") if not block.file]


@pytest.mark.parametrize("block", TOML, ids=lambda block: block.id)
def test_toml_is_a_recipe_or_a_part_of_one(block: Block, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "recipes", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "block.toml"
    is_whole = "name" in tomllib.loads(block.text)
    above = "" if is_whole else 'extends = "unet_faces.toml"\nname = "a_part"\n'
    path.write_text(above + block.text, encoding="utf-8")
    assert load(path).name
    for profile in profiles(path):
        load(path, profiles=[profile])


def test_the_mistakes_of_the_wrong_recipe_are_told_in_these_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frx: Frx
) -> None:
    (wrong,) = (block for block in blocks("toml") if block.file == "wrong.toml")
    (tmp_path / wrong.file).write_text(wrong.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code, _, err = frx("check", wrong.file)
    assert code == 2
    told = next(b for b in blocks("text") if b.page == wrong.page and b.line > wrong.line).text
    expected = [re.escape(line).replace("…", ".*") for line in told.splitlines()]
    assert len(err.splitlines()) == len(expected)
    for line, pattern in zip(err.splitlines(), expected, strict=True):
        assert re.fullmatch(pattern, line)


# Commands ----------------------------------------------------------------------------------------

OTHERS = {"cd", "cp", "git", "ls", "pip", "pytest", "python", "python3", "source", "torchrun"}


def commands() -> Iterator[tuple[Block, list[str]]]:
    """Every command of every shell block, as words."""
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for command in re.split(r"&&", line.partition("# ")[0]):
                if words := shlex.split(command):
                    yield block, words


COMMAND_LINES = [(b, words) for b, words in commands() if words[0] == "frx"]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that `frx …` calls, and the words after it; options before it exist."""
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group):
        known = {opt for parameter in command.params for opt in parameter.opts} | {"--help"}
        while rest and rest[0].startswith("-"):
            assert rest[0] in known, words
            rest = rest[1:]
        if not rest:
            break
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, words
        command, rest = found, rest[1:]
    return command, rest


def test_other_commands_are_ordinary_and_their_files_exist() -> None:
    for block, words in commands():
        if words[0] != "frx":
            assert words[0] in OTHERS, f"{block.id}: {words[0]}"
            if words[0] == "python":
                place = ROOT / (words[2].replace(".", "/") if words[1] == "-m" else words[1])
                assert place.exists() or place.with_suffix(".py").exists(), f"{block.id}: {place}"


@pytest.mark.parametrize(
    ("block", "words"), COMMAND_LINES, ids=[f"{b.id} {w[1]}" for b, w in COMMAND_LINES]
)
def test_every_command_exists_with_its_options_and_arguments(
    block: Block, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, rest = command_of(words)
    if isinstance(command, click.Group):
        return
    # Files need not be there: what click asks of paths is left out.
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            monkeypatch.setattr(parameter.type, "exists", False)
    given = command.make_context(command.name, rest).params
    recipe = str(given.get("recipe") or "")
    if recipe.startswith("recipes/"):
        load(ROOT / recipe, profiles=given["profiles"], overrides=given["overrides"])
    if command.name == "show":
        find(given["kind"], given["name"])
    if command.name == "list" and given["kind"]:
        assert given["kind"] in GROUPS
    if command.name == "fetch":
        assert all(name in KNOWN or name.startswith("timm/") for name in given["names"])


MOMENTARY = [words for _, words in COMMAND_LINES if words[1] in ("list", "show", "new", "schema")]


@pytest.mark.parametrize("line", sorted({shlex.join(words) for words in MOMENTARY}))
def test_what_takes_a_moment_really_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frx: Frx
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = frx(*shlex.split(line)[1:])
    assert code == 0, err


# Recipes -----------------------------------------------------------------------------------------

TABLES = {
    "### The recipe": Recipe,
    "### `[compute]`": Compute,
    "### `[data]` and `[sets.NAME]`": Data,
    "### `[[stages]]`": Stage,
    "### `[[stages.losses]]`": LossTerm,
    "### `[[baselines]]`": Compared,
}
CALLED = {
    Compute: "compute",
    Data: "data",
    LossTerm: "loss term",
    Stage: "stage",
    Compared: "baseline",
}


def as_documented(type_: Any) -> str:
    """A key's type as its row says it, a component by its kind."""
    if get_origin(type_) is Annotated and get_args(type_)[0] is Use:
        return str(get_args(type_)[1])
    if type_ in CALLED:
        return CALLED[type_]
    if get_origin(type_) is Annotated:
        inner, *bounds = get_args(type_)
        return as_documented(inner) + type_text(Annotated[int, *bounds])[3:]
    if get_origin(type_) in (list, dict):
        inside = ", ".join(as_documented(argument) for argument in get_args(type_))
        return f"{get_origin(type_).__name__}[{inside}]"
    if get_origin(type_) is tuple:
        return f"tuple[{as_documented(get_args(type_)[0])}, …]"
    return type_text(type_)


@pytest.mark.parametrize(("heading", "class_"), TABLES.items(), ids=lambda value: str(value))
def test_every_key_of_a_recipe_is_documented_with_type_and_default(
    heading: str, class_: type
) -> None:
    documented = {
        names(key)[0]: (type_, default) for key, type_, default, _ in rows("recipes.md", heading)
    }
    for field in attrs.fields(class_):
        key = "use" if field.metadata.get("flat") else field.name
        type_, default = documented.pop(key)
        assert type_.replace("\\|", "|") == as_documented(field.type), key
        wanted = field.default
        if class_ is Stage and key in STAGE_DEFAULTS:
            wanted = STAGE_DEFAULTS[key]
        if isinstance(wanted, attrs.Factory):  # type: ignore[arg-type]
            wanted = wanted.factory()
        if wanted is attrs.NOTHING:
            assert default == "required", key
        elif wanted is None:
            assert default == "–", key
        else:
            value = tomllib.loads(f"value = {default.strip('`')}")["value"]
            if attrs.has(type(wanted)):
                value = type(wanted)(**value)
            assert value == (list(wanted) if isinstance(wanted, tuple) else wanted), key
    assert not documented, f"invented: {', '.join(documented)}"


def test_all_components_of_frx_stand_in_the_table_of_their_kind() -> None:
    documented = {kind: names(there) for kind, _, there in rows("recipes.md", "## Components")}
    ours: dict[str, list[str]] = {kind: [] for kind in GROUPS}
    for component in components():
        if component.package == "frx":
            ours[component.kind].append(component.name)
    assert documented == ours


def test_the_exit_codes_are_those_of_the_errors() -> None:
    told = {
        code for cell, _ in rows("recipes.md", "estimates the\nmemory") for code in cell.split(", ")
    }
    ours = {str(error.exit_code) for error in (FrxError, *FrxError.__subclasses__())}
    signals = {str(128 + number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    assert told == {"0", *ours, *signals}


def test_every_recipe_and_profile_is_on_the_page_of_systems() -> None:
    named = [name for row in rows("systems.md", "# The five systems") for name in names(row[3])]
    paths = {path.stem: path for path in (ROOT / "recipes").glob("*.toml")}
    assert sorted(named) == sorted(paths)
    documented: dict[str, list[str]] = {}
    for of, there in rows("systems.md", "Profiles set a recipe up"):
        documented |= dict.fromkeys(names(of), names(there))
    assert documented == {name: profiles(path) for name, path in paths.items()}


# Hooks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_and_its_arguments_are_in_the_table(name: str) -> None:
    arguments = [each for each in inspect.signature(HOOKS[name]).parameters if each != "self"]
    assert f"| `{name}({', '.join(arguments)})` | " in PAGES["hooks.md"]


def test_no_page_knows_another_hook() -> None:
    for page, text in PAGES.items():
        assert set(re.findall(r"\bfrx_\w+(?=\()", text)) <= HOOKS.keys(), page


def test_of_two_hooks_the_last_is_called_first_unless_it_says_otherwise() -> None:
    class Noting:
        def __init__(self, name: str) -> None:
            self.name = name

        @hookimpl
        def frx_run_end(self) -> None:
            called.append(self.name)

    class First(Noting):
        @hookimpl(tryfirst=True)
        def frx_run_end(self) -> None:
            called.append(self.name)

    called: list[str] = []
    hooks = {"a": First("a"), "b": Noting("b"), "c": Noting("c")}
    plugin_manager(hooks).hook.frx_run_end(run=None)
    assert called == ["a", "c", "b"]


def test_numbers_in_prose_are_those_of_the_code() -> None:
    hooks, kinds = (" ".join(PAGES[page].split()) for page in ("hooks.md", "kinds.md"))
    assert f"waits for it {PATIENCE_S:g} seconds at most" in hooks
    assert f"every {Log().every_steps} steps, and with each validation" in hooks
    (every_s,) = (f.default for f in attrs.fields(SaveCheckpoints) if f.name == "every_s")
    assert every_s == 120
    assert "after epochs and every two minutes" in hooks
    assert f"after every {Watch().window_steps} batches" in kinds
    assert Watch().times == 3
    assert "said three times in a row" in kinds
    assert GENERATIONS == 2
    assert "Two generations are kept" in PAGES["reproducibility.md"]


def test_what_a_run_offers_is_there() -> None:
    fields = {field.name for field in attrs.fields(Run)} | set(dir(Run))
    for cell, _ in rows("hooks.md", "## What a run offers"):
        for name in names(cell):
            assert re.match(r"\w+", name)[0] in fields, name  # type: ignore[index]


def test_the_hooks_that_come_with_frx_are_there_with_their_options() -> None:
    table = {names(cell)[0]: rest for cell, *rest in rows("hooks.md", "## Hooks of frx")}
    ours = {c.name: c for c in components() if c.kind == "hook" and c.package == "frx"}
    assert sorted(table) == sorted(ours)
    for name, (told_options, watches, _) in table.items():
        factory, listed = ours[name].load(), names(told_options)
        assert watches == ("yes" if getattr(factory, "only_watches", False) else "no"), name
        found = {key: default_of(factory, key) for key in options(factory)}
        told = tomllib.loads("\n".join(item for item in listed if "=" in item))
        optional = {k: v for k, v in found.items() if v not in (None, inspect.Parameter.empty)}
        assert told == {k: list(v) if isinstance(v, tuple) else v for k, v in optional.items()}
        assert {item for item in listed if "=" not in item} == found.keys() - optional.keys()


# The package of every kind ---------------------------------------------------------------------


def recorder() -> str:
    """A hook that listens to everything, and writes down what it hears."""
    lines = ["from frx import hookimpl", "", "class Recorder:"]
    for name, hook in HOOKS.items():
        arguments = ", ".join(inspect.signature(hook).parameters)
        lines += ["    @hookimpl", f"    def {name}({arguments}):"]
        lines += [f"        print({name!r}, file=open('calls.txt', 'a'))"]
    return "\n".join(lines)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`frx_extra` as files, with the metadata that pip would write, beside photographs."""
    folder = tmp_path_factory.mktemp("package")
    written: dict[str, str] = {}
    for block in blocks("python", "toml"):
        if block.file == "pyproject.toml" and block.page == "plugins.md":
            continue  # a part of the whole one
        if block.file:
            assert written.setdefault(block.file, block.text) == block.text, block.id
    written["frx_extra/recorder.py"] = recorder()
    written["recipe.toml"] += '\n[[hooks]]\nuse = "recorder"\n'
    for name, text in written.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(written["pyproject.toml"])["project"]
    points = {group: dict(named) for group, named in project["entry-points"].items()}
    points["frx.hooks"]["recorder"] = "frx_extra.recorder:Recorder"
    info = folder / "frx_extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(
        "\n".join(
            line
            for group, named in points.items()
            for line in (f"[{group}]", *(f"{name} = {target}" for name, target in named.items()))
        )
    )
    (folder / "photos").mkdir()
    listed = [f"photos/{number:02}.png" for number in range(20)]
    for number, name in enumerate(listed):
        images.write(folder / name, SyntheticFaces(size=40)[number]["clean"])
    (folder / "photos.txt").write_text("\n".join(listed) + "\n")
    return folder


@pytest.fixture(scope="session")
def finished(package: Path) -> Path:
    """The run folder of the recipe that uses every kind."""
    result = subprocess.run(
        [sys.executable, "-m", "frx", "run", "recipe.toml", "--out", "run"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package), "FRX_CACHE": str(package / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return package / "run"


def entry_points(page: str) -> dict[str, Any]:
    """By group, what the blocks of a page called `pyproject.toml` have."""
    found: dict[str, Any] = {}
    for block in blocks("toml"):
        if block.page == page and block.file == "pyproject.toml":
            found |= tomllib.loads(block.text)["project"]["entry-points"]
    return found


def test_there_is_an_example_of_every_kind() -> None:
    whole = entry_points("kinds.md")
    assert sorted(whole) == sorted(GROUPS.values())
    assert len(whole) == len(COMPONENT_KINDS)
    example = (ROOT / "examples" / "frx-moire" / "pyproject.toml").read_text(encoding="utf-8")
    recipes = tomllib.loads(example)["project"]["entry-points"]["frx.recipes"]
    for group, named in entry_points("plugins.md").items():
        assert named.items() <= (whole | {"frx.recipes": recipes})[group].items()
    written = {block.file for block in blocks("python")}
    for named in whole.values():
        for name, target in named.items():
            assert target.partition(":")[0] == f"frx_extra.{name}"
            assert f"frx_extra/{name}.py" in written


def test_all_components_train_together(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    trained = {line["stage"]: line for line in lines if line["kind"] == "train"}
    assert trained["pixels"].keys() >= {"welsch", "welsch_half"}
    assert trained["game"].keys() >= {"welsch", "adversarial", "discriminator"}
    assert [line["step"] for line in trained.values()] == [3, 6]  # step_limit ended both stages
    scored = json.loads((finished / "scores.json").read_bytes())["sets"]["test"]
    assert scored["metrics"]["worst_pixel"]["whole"]["input"] > 0.1
    assert scored["metrics"]["mean_colour"]["whole"]["input"] > 0.01
    assert scored["baselines"].keys() == {"mean_fill"}
    noted = json.loads((finished / "run.json").read_bytes())
    assert sum(noted["images"].values()) == 12  # first_images
    assert noted["warnings"] == []
    model = json.loads((finished / "model" / "model.json").read_bytes())["model"]
    assert model["use"] == "frx-extra:one_layer"
    assert json.loads((finished.parent / "status.json").read_text())["run"] == "extra"
    assert sorted(path.name for path in (finished / "differences").iterdir()) == [
        "game-0001.png",
        "pixels-0001.png",
    ]


def test_a_run_goes_through_the_hooks_in_the_drawn_order(finished: Path) -> None:
    drawing = next(b for b in blocks("text") if b.page == "hooks.md" and "final" in b.text)
    drawn = re.findall(r"^[│├─└┐┘ ]*(frx_\w+)", drawing.text, re.MULTILINE)
    assert sorted(drawn) == sorted(HOOKS)
    heard = (finished.parent / "calls.txt").read_text().splitlines()
    assert drawn == list(dict.fromkeys(heard))


def test_a_run_leaves_behind_what_the_quick_start_says(finished: Path) -> None:
    there = [
        name
        for cell, _ in rows("quickstart.md", "## What a run leaves behind")
        for name in names(cell)
    ]
    assert len(there) >= 10
    for name in there:
        assert name == "curves.png" or (finished / name).exists(), name  # of the hook `curves`
    noted = [
        name
        for cell, _ in rows("reproducibility.md", "## What a run notes")
        for name in names(cell)
    ]
    assert sorted(noted) == sorted(json.loads((finished / "run.json").read_bytes()))


@pytest.fixture
def extra(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Give a component of `frx_extra` by its name, until the test's end."""
    monkeypatch.syspath_prepend(str(package))
    targets = {
        name: target
        for named in entry_points("kinds.md").values()
        for name, target in named.items()
    }

    def load(name: str) -> Any:
        module, _, attribute = targets[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    yield load
    for module in [name for name in sys.modules if name.partition(".")[0] == "frx_extra"]:
        del sys.modules[module]


def test_all_components_keep_their_promises(package: Path, extra: Callable[[str], Any]) -> None:
    listed = str(package / "photos.txt")
    testing.check_dataset(lambda: extra("listed")(path=listed, size=24))
    testing.check_augmentation(extra("greyscale"))
    testing.check_degradation(extra("scanlines"))
    testing.check_model(extra("one_layer")(), extra("one_layer")())
    testing.check_trainer(extra("two_sizes"), weight=0.1)
    testing.check_discriminator(extra("judge")(), extra("judge")())
    testing.check_adversarial_loss(extra("absolute")())
    testing.check_optimizer(extra("rmsprop"))
    testing.check_schedule(extra("polynomial"))
    testing.check_metric(extra("worst_pixel")())
    testing.check_metric(extra("mean_colour")())
    testing.check_baseline(extra("mean_fill"))
    testing.check_hook(extra("freeze")(blocks=["layer"]))
    for name in ("step_limit", "status_file", "differences", "first_images"):
        testing.check_hook(extra(name)())
    written = runpy.run_path(str(package / "tests" / "test_welsch.py"))
    written["test_keeps_its_promises"]()


def test_the_model_begins_with_weights_from_a_file(
    tmp_path: Path, extra: Callable[[str], Any]
) -> None:
    trained, path = extra("one_layer")(size_px=3), str(tmp_path / "trained.pt")
    with pytest.raises(DataError, match=r"trained\.pt: No such file"):
        extra("one_layer")(size_px=3, weights=path).load_pretrained()
    torch.save(trained.state_dict(), path)
    begun = extra("one_layer")(size_px=3, weights=path)
    begun.load_pretrained()
    assert torch.equal(begun.layer.weight, trained.layer.weight)


# The site ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The HTML of every page, built as the continuous integration builds it."""
    out = tmp_path_factory.mktemp("site")
    words = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    result = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert {path.stem for path in out.glob("*.html")} >= {page[:-3] for page in PAGES}
    return {page: (out / f"{page[:-3]}.html").read_text(encoding="utf-8") for page in PAGES}


def visible(html: str) -> str:
    """The text that a browser shows of a part of a page, spaces as they are."""
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_nothing_of_the_site_comes_from_elsewhere(site: dict[str, str]) -> None:
    for page, html in site.items():
        fetched = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"([^\"]*)\"", html)
        assert fetched
        assert [name for name in fetched if re.match(r"(\w+:)?//", name)] == [], page


@pytest.mark.parametrize("page", PAGES)
def test_tables_lists_and_blocks_are_such_in_html_too(page: str, site: dict[str, str]) -> None:
    text, html = PAGES[page], site[page]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert html.count("<table>") == len(re.findall(r"^\|[-|: ]+\|$", prose, re.MULTILINE))
    main = html[html.index('role="main"') : html.index("<footer")]
    shown = visible(re.sub(r"<pre.*?</pre>|<code>.*?</code>", "", main, flags=re.DOTALL))
    assert "```" not in shown
    assert not re.search(r"^\s*(\* |\d+\. |\|)", shown, re.MULTILINE), page
    assert "**" not in shown
    assert "\\|" not in visible(html), "a bar in a cell is no code"
    assert not re.search(r' id="\d', html), "a heading that begins with a digit breaks the theme"


def subcommands(name: str) -> Iterator[tuple[str, click.Command]]:
    """A command, or those of a group, each with its whole name."""
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    yield f"frx {name}", command
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield f"frx {name} {inner}", found


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_reference_with_options_and_examples(
    name: str, site: dict[str, str]
) -> None:
    _, *parts = re.split(r'<h[23] id="([\w-]+)"', site["commands.md"])
    sections = dict(zip(parts[::2], map(visible, parts[1::2]), strict=True))
    examples = [" ".join(words) for b, words in commands() if b.page == "commands.md"]
    for whole, command in subcommands(name):
        section = sections[whole.replace(" ", "-")]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for option in (*parameter.opts, *parameter.secondary_opts):
                    assert option in section, (whole, option)
        told = re.sub(r"\\\n\s*", "", command.epilog or "")
        for example in re.findall(r"(frx \w.*?)(?:\s{3,}|\n|$)", told):
            assert " ".join(shlex.split(example)) in examples, example


def test_options_and_commands_named_in_passing_exist() -> None:
    known = {"--help"} | {opt for parameter in cli.params for opt in parameter.opts}
    for name in COMMANDS:
        for _, command in subcommands(name):
            for parameter in command.params:
                known |= {*parameter.opts, *parameter.secondary_opts}
    for page, text in PAGES.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        for span in re.findall(r"`([^`\n]+)`", prose):
            called = re.match(r"frx (?:--\S+ )*(\w+)", span)
            assert not called or called[1] in {*COMMANDS, "COMMAND"}, f"{page}: {span}"
            for option in re.findall(r"(?:^|\s)(--[a-z][\w-]*)", span):
                assert option in known, f"{page}: {span}"
