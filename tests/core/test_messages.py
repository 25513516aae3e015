"""What frx says of the commonest mistakes, word by word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frx import images

RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 24
count = 20
[[degradations]]
use = "gaussian_noise"
[model]
use = "unet"
width = 4
[[stages]]
name = "only"
epochs = 1
batch_size = 8
losses = ["l1"]
[[metrics]]
use = "psnr"
[profiles.quick]
stages.only.epochs = 1
"""
KINDS = "adversarial_loss, augmentation, baseline, dataset, degradation, discriminator, hook, loss, metric, model, optimizer, schedule, trainer"

# After which words the command ends how, and what its last line is; "…" stands for the rest of it.
MESSAGES = {
    # Commands and their options.
    "rnu": (2, 'Error: no command \'rnu\'; did you mean "run"? (has: align, check, compare, degrade, …'),
    "run": (2, "Error: Missing argument 'RECIPE'."),
    "run tiny.toml more.toml": (2, "Error: Got unexpected extra argument (more.toml)"),
    "run tiny.toml --profil quick": (2, "Error: No such option '--profil'. Did you mean '--profile'?"),
    "list modle": (2, f'Error: no kind \'modle\'; did you mean "model"? (has: {KINDS})'),
    "list loss xyz*": (2, "Error: no loss is called like 'xyz*'"),
    "show model": (2, "Error: Missing argument 'NAME'."),
    "show modle unet": (2, f'Error: no kind \'modle\'; did you mean "model"? (has: {KINDS})'),
    "show model unett": (2, 'frx: no model named \'unett\'; did you mean "unet"? (has: dual_decoder_unet, …'),
    "restore one.png": (2, "Error: Missing option '-o' / '--out'."),
    "restore one.png -o out --model photos --mask-threshold 2": (2, "Error: Invalid value for '--mask-threshold': 2.0 is not in the range 0<x<1."),
    "prepare photos --out set --counts train=x": (2, "Error: Invalid value for '--counts': expected NAME=COUNT,…, such as train=10000,valid=500"),
    # Recipes: the file.
    "run nothing.toml": (2, 'frx: nothing.toml: no such recipe; did you mean "tiny.toml"? (has: broken.toml, …'),
    "run .": (2, "frx: .: a folder; name a recipe in it (has: broken.toml, tiny.toml, utf16.toml)"),
    "run utf16.toml": (2, "frx: utf16.toml: not UTF-8 text (byte 0); save the file as UTF-8"),
    "run broken.toml": (2, 'frx: broken.toml:2:8: not valid TOML: Invalid value: seed = forty-two; a text stands in "quotes", truth is true or false'),
    "run tiny.toml --profile quik": (2, 'frx: tiny.toml: no profile \'quik\'; did you mean "quick"? (has: quick)'),
    "run tiny.toml --out tiny.toml": (2, "frx: tiny.toml: a file where the run folder would be; choose another --out"),
    "run tiny.toml --device gpu": (2, "frx: --device gpu: not to be had here (there is cpu, cuda, cuda:1, mps or auto)"),
    # Recipes: keys and values.
    "run tiny.toml --set data.size": (2, "frx: --set data.size: expected key=value, such as data.size=64"),
    "run tiny.toml --set data.sise=64": (2, 'frx: --set data.sise=64: data.sise: unknown key; did you mean "size"? (has: cache, count, groups_file, identities, on_bad, seed, size, split, split_seed, use, workers)'),
    "run tiny.toml --set epochs=64": (2, "frx: --set epochs=64: epochs: unknown key; there is stages[0].epochs; has: augmentations, baselines, compute, data, degradations, extends, hooks, metrics, model, name, profiles, seed, sets, stages"),
    "run tiny.toml --set data.size=big": (2, "frx: --set data.size=big: data.size: expected a whole number, got 'big'"),
    'run tiny.toml --set data.size="64"': (2, "frx: --set data.size=\"64\": data.size: expected a whole number, got '64'; without quotes: 64"),
    "run tiny.toml --set compute.compile=yes": (2, "frx: --set compute.compile=yes: compute.compile: expected true or false, got 'yes'"),
    "run tiny.toml --set seed=-1": (2, "frx: --set seed=-1: seed: must be at least 0, got -1"),
    "run tiny.toml --set name=3": (2, 'frx: --set name=3: name: expected a text, got 3; in quotes: "3"'),
    "run tiny.toml --set name=../x": (2, "frx: --set name=../x: name: may hold letters, digits, _, . and -, 60 at most, for a folder is named after it; got '../x'"),
    "run tiny.toml --set compute.precision=fp16": (2, 'frx: --set compute.precision=fp16: compute.precision: \'fp16\' is not a choice; did you mean "bf16"? (has: auto, bf16, fp32)'),
    "run tiny.toml --set data.split=[0.8,0.1,0.2]": (2, "frx: --set data.split=[0.8,0.1,0.2]: data.split: must sum to 1, got [0.8, 0.1, 0.2]"),
    "run tiny.toml --set metrics=psnr": (2, "frx: --set metrics=psnr: metrics: expected a list, got 'psnr'; it stands in [brackets]"),
    "run tiny.toml --set stages.train.epochs=2": (2, "frx: --set stages.train.epochs=2: stages.train: no such stage; has: only"),
    "run tiny.toml --set stages[0].epochs=0": (2, "frx: --set stages[0].epochs=0: stages[0].epochs: must be at least 1, got 0"),
    "run tiny.toml --set stages.only.losses=[]": (2, "frx: --set stages.only.losses=[]: stages[0].losses: needs at least 1 of them, got 0"),
    'run tiny.toml --set stages.only.losses=[{use="l1",weight=0}]': (2, 'frx: --set stages.only.losses=[{use="l1",weight=0}]: stages[0].losses: every weight is 0: nothing to learn from'),
    # Recipes: components.
    "run tiny.toml --set model.use=unett": (2, 'frx: --set model.use=unett: model.use: no model named \'unett\'; did you mean "unet"? (has: dual_decoder_unet, …'),
    "run tiny.toml --set model.use=psnr": (2, "frx: --set model.use=psnr: model.use: no model named 'psnr'; it is a metric"),
    "run tiny.toml --set model.use=frx-moire:unet": (2, "frx: --set model.use=frx-moire:unet: model.use: no model named 'frx-moire:unet'; the package frx-moire is not installed; pip install frx-moire"),
    "run tiny.toml --set data.use=folder": (2, "frx: tiny.toml:2: data.path: missing; folder needs it"),
    "run tiny.toml --set stages.only.schedule=step": (2, "frx: --set stages.only.schedule=step: stages[0].schedule.every_epochs: missing; step needs it"),
    "run tiny.toml --set degradations.gaussian_noise.sigma=[0.5,0.2]": (2, "frx: tiny.toml:6: degradations[0]: gaussian_noise: sigma is (0.5, 0.2); it has to hold 0 <= low <= high <= 1"),
    "check tiny.toml --set stages.only.optimizers.modle=adam": (2, 'frx: stage only: optimizers.modle: no such network; did you mean "model"? (has: model)'),
    # Data.
    "check tiny.toml --set data.use=folder --set data.path=nope": (3, "frx: the folder nope does not exist"),
    "check tiny.toml --set data.use=folder --set data.path=empty": (3, "frx: no picture in empty: none of its 0 files ends in .bmp .gif .jpeg .jpg .png .webp"),
    "check tiny.toml --set data.count=2": (3, "frx: no sample is left for the split 'val' of synthetic_faces, which has train, test; add images, name folders train, val and test, or change data.split"),
    "degrade nothing -o out --recipe tiny.toml": (3, "frx: the folder nothing does not exist"),
    "prepare nothing --out set": (3, "frx: the folder nothing does not exist"),
    "prepare photos --out set --counts train=3": (3, "frx: 3 samples are asked for, but there are only 1"),
    "align empty -o out": (3, "frx: empty holds no picture"),
    # Runs, models, weights.
    "evaluate nothing": (3, "frx: nothing: no run; nothing/recipe.toml is missing"),
    "evaluate unfinished": (3, "frx: unfinished: an unfinished run; unfinished/model.json is missing"),
    "compare nothing": (3, "frx: nothing: there is no such folder"),
    "compare unfinished unfinished": (2, "frx: a run is given twice: name each once"),
    "restore one.png -o out --model nothing": (3, "frx: nothing: no trained model; nothing/model.json is missing"),
    "restore one.png -o out --model tiny.toml": (3, "frx: tiny.toml is no trained model: that is a run folder, the model/ folder of one, or a file of weights (.safetensors, .pt, .pth, .ckpt, .bin)"),
    "fetch vgg20": (3, "frx: vgg20 is not a known file (inception_resnet_v1, …"),
    # What begins with `frx new`.
    "new recipe unet_face -o mine.toml": (2, 'frx: no recipe \'unet_face\' to begin from; did you mean "unet_faces"? (has: dual_decoder, …'),
    "new recipe unet_faces -o mine.txt": (2, "frx: mine.txt: recipes are called NAME.toml, NAME being of letters, digits, _, . and -, 60 at most"),
    "new recipe unet_faces -o tiny.toml": (2, "frx: tiny.toml is there already and stays as it is; choose another with -o"),
    "new plugin Frx-9! -o mine": (2, "frx: 'Frx-9!' cannot name a package: small letters and digits are wanted, a letter first, words joined by -, 24 at most, such as frx-scratches"),
    "new plugin frx-mine --kind los -o mine": (2, f'Error: no kind \'los\'; did you mean "loss"? (has: {KINDS})'),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some files of every kind; no mistake changes any of them."""
    place = tmp_path_factory.mktemp("place")
    (place / "tiny.toml").write_text(RECIPE)
    (place / "broken.toml").write_text('name = "broken"\nseed = forty-two\n')
    (place / "utf16.toml").write_text(RECIPE, encoding="utf-16")
    (place / "empty").mkdir()
    (place / "unfinished").mkdir()
    (place / "unfinished" / "recipe.toml").write_text(RECIPE)
    for name in ("one.png", "photos/one.png"):
        images.write(place / name, np.full((24, 24, 3), 99, np.uint8))
    return place


@pytest.mark.parametrize("words", MESSAGES)
def test_a_mistake_is_answered_with_these_words(
    words: str,
    folder: Path,
    frx: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FRX_CACHE", str(folder / "cache"))
    before = sorted(folder.rglob("*"))
    ends, text = MESSAGES[words]
    code, _, said = frx(*words.split())
    last = said.splitlines()[-1]
    begin = text.removesuffix("…")
    assert (last if begin == text else last[: len(begin)], code) == (begin, ends)
    assert "Traceback" not in said
    made = {path.relative_to(folder).parts[0] for path in {*folder.rglob("*")} - {*before}}
    assert made <= {"cache"}
