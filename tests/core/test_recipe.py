"""Recipes: what is read, how profiles and overrides combine, and 130 ways of getting one wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from frx.errors import RecipeError
from frx.recipe import Recipe, load
from frx.recipe_files import profiles

Frx = Callable[..., tuple[int, str, str]]
RECIPES = Path(__file__).parents[2] / "recipes"

GOOD = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 32
count = 20

[[degradations]]
use = "gaussian_noise"
sigma = [0.1, 0.2]

[model]
use = "unet"
width = 4

[[stages]]
name = "train"
epochs = 2
optimizer = { use = "adam", lr = 1e-3 }

  [[stages.losses]]
  use = "l1"
  weight = 2

[[metrics]]
use = "psnr"

[profiles.quick]
data.size = 16
stages.train.epochs = 1

[profiles.more]
stages.train.losses.mse = { weight = 0.5 }
stages.train.losses.l1.weight = 3
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "x.toml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_recipe_is_read_whole(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, GOOD))
    assert recipe.name == "tiny"
    assert recipe.data.dataset.setting("size") == 32
    assert recipe.degradations[0].setting("sigma") == (0.1, 0.2)
    assert recipe.stages[0].losses[0].weight == 2.0
    assert recipe.stages[0].trainer.name == "supervised"


def test_profiles_combine_and_overrides_come_last(tmp_path: Path) -> None:
    recipe = load(
        write(tmp_path, GOOD),
        profiles=["quick", "more"],
        overrides=["stages.train.epochs=7", "model.predict=correction"],
    )
    assert recipe.data.dataset.setting("size") == 16
    assert recipe.stages[0].epochs == 7
    assert [(t.label, t.weight) for t in recipe.stages[0].losses] == [("l1", 3.0), ("mse", 0.5)]
    assert recipe.model.setting("predict") == "correction"


def test_another_component_drops_the_options_it_does_not_have(tmp_path: Path) -> None:
    overrides = ["data.use=folder", f"data.path={tmp_path}"]
    recipe = load(write(tmp_path, GOOD), overrides=overrides)
    assert recipe.data.dataset.name == "folder"
    assert recipe.data.dataset.setting("size") == 32  # shared, so kept


def test_the_resolved_recipe_runs_again_by_itself(tmp_path: Path) -> None:
    first = load(write(tmp_path, GOOD), profiles=["more"])
    again = load(write(tmp_path, tomli_w.dumps(first.table())))
    assert again.table() == first.table()


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_recipe_is_valid_with_each_profile_that_needs_no_weights(path: Path) -> None:
    names = profiles(path)
    assert "quick" in names
    for profile in [(), *((name,) for name in names)]:
        assert isinstance(load(path, profiles=profile), Recipe)


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_recipe_written_out_and_read_again_is_the_same(
    path: Path, tmp_path: Path
) -> None:
    recipe = load(path)
    again = load(write(tmp_path, tomli_w.dumps(recipe.table())))
    assert again.table() == recipe.table()


BAD = {
    # what is changed: (text, what the message has to say)
    "unknown top key": (changed('name = "tiny"', 'name = "tiny"\nsede = 1'), ":2: sede: unknown key; did you mean \"seed\"?"),
    "unknown data key": (changed("count = 20", "coutn = 20"), ':6: data.coutn: unknown key; did you mean "count"?'),
    "unknown reserved data key": (changed("count = 20", "wrokers = 2"), 'data.wrokers: unknown key; did you mean "workers"?'),
    "unknown model option": (changed("width = 4", "widht = 4"), ':14: model.widht: unknown key; did you mean "width"?'),
    "unknown stage key": (changed("epochs = 2", "epohs = 2"), ':18: stages[0].epohs: unknown key; did you mean "epochs"?'),
    "missing stage key": (changed("epochs = 2\n", ""), ":16: stages[0].epochs: missing"),
    "unknown loss key": (changed("weight = 2", "wieght = 2"), ':23: stages[0].losses[0].wieght: unknown key; did you mean "weight"?'),
    "unknown optimiser key": (changed("lr = 1e-3", "lrr = 1e-3"), ':19: stages[0].optimizer.lrr: unknown key; did you mean "lr"?'),
    "unknown model": (changed('use = "unet"', 'use = "unett"'), ':13: model.use: no model named \'unett\'; did you mean "unet"?'),
    "unknown loss": (changed('use = "l1"', 'use = "l11"'), ":22: stages[0].losses[0].use: no loss named 'l11'"),
    "unknown metric": (changed('use = "psnr"', 'use = "pnsr"'), 'metrics[0].use: no metric named \'pnsr\'; did you mean "psnr"?'),
    "unknown degradation": (changed("gaussian_noise", "gausian_noise"), 'did you mean "gaussian_noise"?'),
    "unknown dataset": (changed("synthetic_faces", "synthetic_face"), 'did you mean "synthetic_faces"?'),
    "unknown optimiser": (changed('"adam"', '"adma"'), "no optimizer named 'adma'; did you mean \"adam\"?"),
    "a component of another kind": (changed('use = "l1"', 'use = "psnr"'), "no loss named 'psnr'; it is a metric"),
    "text for a number": (changed("epochs = 2", 'epochs = "2"'), ":18: stages[0].epochs: expected a whole number, got '2'; without quotes: 2"),
    "fraction for a whole number": (changed("epochs = 2", "epochs = 2.5"), "stages[0].epochs: expected a whole number, got 2.5"),
    "truth for a number": (changed("epochs = 2", "epochs = true"), "stages[0].epochs: expected a whole number, got true"),
    "text for a rate": (changed("lr = 1e-3", 'lr = "1e-3"'), "stages[0].optimizer.lr: expected a number, got '1e-3'; without quotes: 1e-3"),
    "not a number": (changed("lr = 1e-3", "lr = nan"), "stages[0].optimizer.lr: expected a finite number"),
    "infinite": (changed("weight = 2", "weight = inf"), "stages[0].losses[0].weight: expected a finite number"),
    "no epochs": (changed("epochs = 2", "epochs = 0"), "stages[0].epochs: must be at least 1, got 0"),
    "negative weight": (changed("weight = 2", "weight = -1"), "stages[0].losses[0].weight: must be at least 0, got -1.0"),
    "zero rate": (changed("lr = 1e-3", "lr = 0"), "stages[0].optimizer.lr: must be greater than 0"),
    "all weights zero": (changed("weight = 2", "weight = 0"), "stages[0].losses: every weight is 0"),
    "negative size": (changed("size = 32", "size = -32"), ":5: data.size: must be at least"),
    "number for a list": (changed("sigma = [0.1, 0.2]", "sigma = 0.1"), ":10: degradations[0].sigma: expected a list, got 0.1"),
    "text for a list": (changed("sigma = [0.1, 0.2]", 'sigma = "ab"'), "degradations[0].sigma: expected a list, got 'ab'"),
    "list too long": (changed("sigma = [0.1, 0.2]", "sigma = [0.1, 0.2, 0.3]"), "degradations[0].sigma: expected 2 values, got 3"),
    "wrong item": (changed("sigma = [0.1, 0.2]", 'sigma = [0.1, "b"]'), "degradations[0].sigma[1]: expected a number, got 'b'"),
    "low above high": (changed("sigma = [0.1, 0.2]", "sigma = [0.3, 0.2]"), "degradations[0]: gaussian_noise:"),
    "not a choice": (changed("width = 4", 'predict = "imgae"'), "model.predict: 'imgae' is not a choice; did you mean \"image\"?"),
    "not a choice at the top": (changed('name = "tiny"', 'name = "tiny"\ncompute.precision = "fp16"'), "compute.precision: 'fp16' is not a choice"),
    "table for a text": (changed('name = "train"', "name = { a = 1 }"), "stages[0].name: expected a text"),
    "text for a table": (changed('[model]\nuse = "unet"\nwidth = 4', '[model_]\nuse = "unet"'), "model: missing"),
    "component as number": (changed('optimizer = { use = "adam", lr = 1e-3 }', 'optimizer = 3'), "stages[0].optimizer: expected a table such as { use"),
    "component without use": (changed('optimizer = { use = "adam", lr = 1e-3 }', "optimizer = { lr = 1e-3 }"), "stages[0].optimizer: use ="),
    "use is a number": (changed('use = "l1"', "use = 3"), "stages[0].losses[0].use: expected a text, got 3"),
    "nested unknown": (changed('use = "gaussian_noise"\nsigma = [0.1, 0.2]', 'use = "one_of"\nof = [{ use = "downsampel" }]'), 'degradations[0].of[0].use: no degradation named \'downsampel\'; did you mean "downsample"?'),
    "nested empty": (changed('use = "gaussian_noise"\nsigma = [0.1, 0.2]', 'use = "one_of"\nof = []'), "degradations[0].of: needs at least 1"),
    "nested missing": (changed('use = "gaussian_noise"\nsigma = [0.1, 0.2]', 'use = "one_of"'), "degradations[0].of: missing; one_of needs it"),
    "probability above one": (changed('use = "gaussian_noise"\nsigma = [0.1, 0.2]', 'use = "sometimes"\nprobability = 1.5\nof = { use = "downsample" }'), "degradations[0].probability: must be at most 1"),
    "no stages": (GOOD[: GOOD.index("[[stages]]")], "stages: missing"),
    "no losses": (changed('  [[stages.losses]]\n  use = "l1"\n  weight = 2\n', ""), "stages[0].losses: missing"),
    "no name": (changed('name = "tiny"\n', ""), "name: missing"),
    "name leaves the folder": (changed('"tiny"', '"../tiny"'), "name: may hold letters"),
    "split sums to more": (changed("count = 20", "split = [0.8, 0.1, 0.2]"), "data.split: must sum to 1"),
    "two stages of one name": (GOOD + '\n[[stages]]\nname = "train"\nepochs = 1\nlosses = [{ use = "l1" }]\n', "stages[1].name: 'train' is there twice"),
    "two terms of one name": (changed("  weight = 2\n", '  weight = 2\n\n  [[stages.losses]]\n  use = "l1"\n'), "stages[0].losses[1]: two terms are called 'l1'"),
    "a set named as a split": (GOOD + '\n[sets.test]\nuse = "synthetic_faces"\n', "sets.test: this name belongs to a split"),
    "profiles as number": ("profiles = 3\n" + GOOD[: GOOD.index("[profiles")], ":1: profiles: expected a table, such as [profiles.quick]; got 3"),
    "profile as number": (GOOD[: GOOD.index("[profiles.more")] + "[profiles]\nmore = 3\n", ".toml:33: profiles.more: expected a table"),
    "not TOML": (changed("size = 32", "size = "), ":5:8: not valid TOML: Invalid value: size =;"),
    "empty": ("", "name: missing"),
    # Types of every sort.
    "number for a text": (changed('"tiny"', "3"), ':1: name: expected a text, got 3; in quotes: "3"'),
    "truth for a text": (changed('"tiny"', "true"), ':1: name: expected a text, got true; in quotes: "true"'),
    "date for a text": (changed('"tiny"', "1979-05-27"), ":1: name: expected a text, got 1979-05-27"),
    "list for a text": (changed('"tiny"', '["tiny"]'), ":1: name: expected a text, got ['tiny']"),
    "date for a number": (changed("epochs = 2", "epochs = 07:32:00"), "stages[0].epochs: expected a whole number, got 07:32:00"),
    "list for a number": (changed("size = 32", "size = [32, 32]"), ":5: data.size: expected a whole number, got [32, 32]"),
    "table for a number": (changed("size = 32", "size.px = 32"), ":5: data.size: expected a whole number, got a table"),
    "empty text for a number": (changed("size = 32", 'size = ""'), ":5: data.size: expected a whole number, got ''"),
    "a long text for a number": (changed("size = 32", f'size = "{"9" * 500}x"'), f":5: data.size: expected a whole number, got '{'9' * 79}…"),
    "text for a truth": (changed('name = "tiny"', 'name = "tiny"\ncompute.compile = "false"'), ":2: compute.compile: expected true or false, got 'false'; without quotes: false"),
    "number for a truth": (changed('name = "tiny"', 'name = "tiny"\ncompute.compile = 1'), ":2: compute.compile: expected true or false, got 1"),
    "truth for a fraction": (changed("weight = 2", "weight = true"), "losses[0].weight: expected a number, got true"),
    "more than 64 bits": (changed("epochs = 2", f"epochs = {2**63}"), f"stages[0].epochs: needs more than 64 bits: {2**63}"),
    "a fraction beyond whole numbers": (changed("epochs = 2", "epochs = 1e300"), "stages[0].epochs: expected a whole number, got 1e+300"),
    "minus infinite": (changed("weight = 2", "weight = -inf"), "losses[0].weight: expected a finite number, got -inf"),
    "beyond fractions": (changed("weight = 2", "weight = 1e999"), "losses[0].weight: expected a finite number, got inf"),
    "not a number in a list": (changed("[0.1, 0.2]", "[0.1, nan]"), "degradations[0].sigma[1]: expected a finite number, got nan"),
    "a sign that no text has": (changed("count = 20", 'groups_file = "a\\u0000b"'), "data.groups_file: may not hold the sign U+0000"),
    # Tables and lists.
    "one bracket for a list": (changed("[[metrics]]", "[metrics]"), ":25: metrics: expected a list, got a table; [[…]] begins each of its tables"),
    "one bracket for stages": (changed("[[stages]]", "[stages]"), ":16: stages: expected a list, got a table; [["),
    "one bracket for losses": (changed("[[stages.losses]]", "[stages.losses]"), ":21: stages[0].losses: expected a list, got a table; [["),
    "two brackets for a table": (changed("[model]", "[[model]]"), ":12: model: expected a table such as { use = "),
    "two brackets for data": (changed("[data]", "[[data]]"), ":3: data: expected a table, got [{'use'"),
    "text for metrics": (GOOD[: GOOD.index("[[metrics]]")] + "[x]\n", ":25: x: unknown key; has: "),
    "text for a list of tables": ('metrics = "psnr"\n' + changed('[[metrics]]\nuse = "psnr"\n', ""), ":1: metrics: expected a list, got 'psnr'; it stands in [brackets]"),
    "numbers for metrics": ("metrics = [3]\n" + changed('[[metrics]]\nuse = "psnr"\n', ""), ":1: metrics[0]: expected a table such as { use = \"…\" }, got 3"),
    "number for compute": ("compute = 3\n" + GOOD, ":1: compute: expected a table, got 3"),
    "text for compute": ('compute = "fast"\n' + GOOD, ":1: compute: expected a table, got 'fast'"),
    "number for a stage": ("stages = [3]\n" + GOOD[: GOOD.index("[[stages]]")], ":1: stages[0]: expected a table, got 3"),
    "text for a stage": ('stages = ["train"]\n' + GOOD[: GOOD.index("[[stages]]")], ":1: stages[0]: expected a table, got 'train'"),
    "stages empty": ("stages = []\n" + GOOD[: GOOD.index("[[stages]]")], ":1: stages: needs at least 1 of them, got 0"),
    "losses empty": (changed('  [[stages.losses]]\n  use = "l1"\n  weight = 2\n', "losses = []\n"), ":21: stages[0].losses: needs at least 1 of them, got 0"),
    "number for sets": ("sets = 3\n" + GOOD, ":1: sets: expected a table, got 3"),
    "number for a set": (GOOD + "\n[sets]\nmore = 3\n", ":37: sets.more: expected a table, got 3"),
    "number for optimizers": (changed("optimizer =", "optimizers = 3\noptimizer ="), "stages[0].optimizers: expected a table, got 3"),
    "two shares": (changed("count = 20", "split = [0.5, 0.5]"), "data.split: expected 3 values, got 2: [0.5, 0.5]"),
    "text for shares": (changed("count = 20", 'split = "80/10/10"'), "data.split: expected a list, got '80/10/10'; it stands in [brackets]"),
    # Bounds and choices.
    "negative share": (changed("count = 20", "split = [-0.1, 1, 0.1]"), "data.split[0]: must be at least 0, got -0.1"),
    "share above one": (changed("count = 20", "split = [0.8, 1.1, 0.1]"), "data.split[1]: must be at most 1, got 1.1"),
    "no batch": (changed("epochs = 2", "epochs = 2\nbatch_size = 0"), "stages[0].batch_size: must be at least 1, got 0"),
    "negative seed": (changed('name = "tiny"', 'name = "tiny"\nseed = -1'), ":2: seed: must be at least 0, got -1"),
    "negative workers": (changed("count = 20", "workers = -1"), "data.workers: -1 is not a choice; has: auto; or must be at least 0, got -1"),
    "no threads": ("compute.threads = 0\n" + GOOD, "compute.threads: 0 is not a choice; has: auto; or must be at least 1"),
    "clipped to nothing": (changed("epochs = 2", "epochs = 2\nclip_norm = 0"), "stages[0].clip_norm: must be greater than 0, got 0.0"),
    "all of it validates": (changed("epochs = 2", "epochs = 2\nvalidation_share = 1"), "stages[0].validation_share: must be less than 1, got 1.0"),
    "a choice of another": (changed("count = 20", 'on_bad = "ignore"'), "data.on_bad: 'ignore' is not a choice; has: error, skip"),
    "truth for a choice": (changed("count = 20", "on_bad = true"), "data.on_bad: true is not a choice; has: error, skip"),
    "list for a choice": (changed("weight = 2", 'region = ["mask"]'), "region: ['mask'] is not a choice; did you mean \"mask\"?"),
    "a choice in capitals": (changed("count = 20", 'cache = "Memory"'), "data.cache: 'Memory' is not a choice; did you mean \"memory\"?"),
    "more than memory": (changed("width = 4", "width = 1_000_000_000"), ":12: model: unet: cannot be made: RuntimeError: Storage size calculation overflowed"),
    # Keys in the wrong place, in other spellings.
    "a key of data at the top": (changed('name = "tiny"', 'name = "tiny"\nsize = 32'), ":2: size: unknown key; there is data.size; "),
    "a key of a stage at the top": (changed('name = "tiny"', 'name = "tiny"\nepochs = 2'), ":2: epochs: unknown key; there is stages[0].epochs; "),
    "an option of the optimiser in the stage": (changed("epochs = 2", "epochs = 2\nlr = 1e-3"), "stages[0].lr: unknown key; there is stages[0].optimizer.lr; "),
    "a key in capitals": (changed("width = 4", "Width = 4"), ":14: model.Width: unknown key; did you mean \"width\"?"),
    "a hyphen for an underscore": (changed("count = 20", "split-seed = 3"), "data.split-seed: unknown key; did you mean \"split_seed\"?"),
    "an empty key": (changed("size = 32", '"" = 32'), "data.\"\": unknown key"),
    "a key with a dot": (changed("size = 32", '"si.ze" = 32'), 'data."si.ze": unknown key; did you mean "size"?'),
    "extends misspelt": ('extend = "x.toml"\nname = "y"\n', ":1: extend: unknown key; did you mean \"extends\"?"),
    "profiles misspelt": (GOOD.replace("[profiles.", "[profile."), ":28: profile: unknown key; did you mean \"profiles\"?"),
    "a table that is none": (GOOD + "\n[scheduler]\nuse = 'step'\n", ":36: scheduler: unknown key"),
    "an option of another component": (changed("epochs = 2", 'epochs = 2\nschedule = { use = "cosine", every_epochs = 2 }'), "stages[0].schedule.every_epochs: unknown key; has: floor, use, warmup"),
    "an option of another kind": (changed("width = 4", "lr = 1"), ":14: model.lr: unknown key; there is stages[0].optimizer.lr; has: predict, use, width"),
    "an option left out": (changed("epochs = 2", 'epochs = 2\nschedule = "step"'), "stages[0].schedule.every_epochs: missing; step needs it"),
    # Components.
    "no use": (changed('use = "unet"\n', ""), ":12: model: use = \"…\" is missing; has: dual_decoder_unet"),
    "an empty use": (changed('"unet"', '""'), ":13: model.use: no model named ''; has: dual_decoder_unet"),
    "a list to use": (changed('"unet"', '["unet"]'), ":13: model.use: expected a text, got ['unet']"),
    "a table to use": (changed('"unet"', "{}"), ":13: model.use: expected a text, got a table"),
    "a discriminator for a model": (changed('"unet"', '"patchgan"'), ":13: model.use: no model named 'patchgan'; it is a discriminator"),
    "a component in capitals": (changed('"unet"', '"UNet"'), "no model named 'UNet'; did you mean \"unet\"?"),
    "a component with a hyphen": (changed("gaussian_noise", "gaussian-noise"), "did you mean \"gaussian_noise\"?"),
    "a package that is not there": (changed('"unet"', '"frx-moire:unet"'), "the package frx-moire is not installed; pip install frx-moire"),
    "an unknown one of a package": (changed('"unet"', '"frx:unett"'), "no model named 'frx:unett'; did you mean \"unet\"?"),
    "an unknown optimiser of one network": (changed("optimizer =", 'optimizers.model = "adma"\noptimizer ='), "stages[0].optimizers.model.use: no optimizer named 'adma'; did you mean \"adam\"?"),
    "an unknown one in a set": (GOOD + "\n[sets.more]\nuse = 'synthetic_face'\n", ":37: sets.more.use: no dataset named 'synthetic_face'; did you mean \"synthetic_faces\"?"),
    "an unknown hook": ('hooks = ["sampels"]\n' + GOOD, ":1: hooks[0].use: no hook named 'sampels'; did you mean \"samples\"?"),
    "an unknown baseline": ('baselines = ["bicubik"]\n' + GOOD, ":1: baselines[0].use: no baseline named 'bicubik'; did you mean \"bicubic\"?"),
    "two baselines of one name": ('baselines = ["telea", "telea"]\n' + GOOD, ":1: baselines[1]: two baselines are called 'telea'; give one a name"),
    "a baseline called as a column": ('baselines = [{ use = "telea", name = "gain" }]\n' + GOOD, ":1: baselines[0].name: may hold letters"),
    # Names of files.
    "an absolute name": (changed('"tiny"', '"/etc/tiny"'), ":1: name: may hold letters, digits, _, . and -"),
    "an empty name": (changed('"tiny"', '""'), ":1: name: may hold letters, digits"),
    "two dots for a name": (changed('"tiny"', '".."'), ":1: name: may hold letters, digits"),
    "a name with a backslash": (changed('"tiny"', "'a\\b'"), ":1: name: may hold letters, digits"),
    "a name with a line break": (changed('"tiny"', '"tiny\\n"'), ":1: name: may hold letters, digits"),
    "a name with a sign that no file has": (changed('"tiny"', '"a\\u0000b"'), ":1: name: may not hold the sign U+0000"),
    "a name of 300 letters": (changed('"tiny"', f'"{"a" * 300}"'), ":1: name: may hold letters, digits, _, . and -, 60 at most"),
    "a stage leaves the folder": (changed('name = "train"', 'name = "../../train"'), ":17: stages[0].name: may hold letters"),
    "a stage without a name": (changed('name = "train"', 'name = ""'), ":17: stages[0].name: may hold letters"),
    "a set leaves the folder": (GOOD + '\n[sets."../more"]\nuse = "synthetic_faces"\n', ':36: sets."../more": may hold letters'),
    "a profile leaves the folder": (GOOD + '\n[profiles."../more"]\nseed = 1\n', ':36: profiles."../more": may hold letters'),
    # No TOML.
    "a key twice": (changed("size = 32", "size = 32\nsize = 33"), ":6:10: not valid TOML: Cannot overwrite a value: size = 33; this key is there already"),
    "a table twice": (GOOD + "\n[model]\nuse = 'unet'\n", ":36:7: not valid TOML: Cannot declare ('model',) twice: [model]; this table is there already"),
    "a text without quotes": (changed('"unet"', "unet"), ":13:7: not valid TOML: Invalid value: use = unet; a text stands in \"quotes\""),
    "truth as in Python": (changed("size = 32", "size = True"), ":5:8: not valid TOML: Invalid value: size = True; a text stands in \"quotes\", truth is true or false"),
    "a quote that is open": (changed('"tiny"', '"tiny'), ":1:13: not valid TOML: Illegal character '\\n': name = \"tiny; the closing quote is missing"),
    "a bracket that is open": (changed("[0.1, 0.2]", "[0.1, 0.2"), ":12:1: not valid TOML: Unclosed array"),
    "a header that is open": (changed("[model]", "[model"), ":12:7: not valid TOML: Expected ']'"),
    "a colon": (changed("size = 32", "size: 32"), ":5:5: not valid TOML: Expected '=' after a key in a key/value pair: size: 32; KEY = VALUE is meant"),
    "a day that is none": (changed("epochs = 2", "epochs = 2020-13-41"), ":18:14: not valid TOML"),
    "the end too early": (GOOD + "seed =", ":35:6: not valid TOML: Invalid value: seed ="),
    "one line for two keys": (changed("size = 32\n", "size = 32 "), ":5:11: not valid TOML: Expected newline"),
    "JSON": ('{"name": "tiny"}', ":1:1: not valid TOML: Invalid statement"),
    "deep lists": (f"x = {'[' * 400}{']' * 400}\n" + GOOD, ": tables and lists more than 50 deep"),
    "very deep lists": (f"x = {'[' * 9000}{']' * 9000}\n" + GOOD, ": tables and lists more than 50 deep"),
    "deep tables": (f"[{'.'.join('a' * 400)}]\n" + GOOD, ": tables and lists more than 50 deep"),
    "a number without end": (changed("epochs = 2", f"epochs = {'9' * 5000}"), ": not valid TOML: Exceeds the limit"),
    "UTF-16 without a mark": ("\0".join(GOOD), ": not UTF-8 text; save the file as UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "-"))
def test_a_wrong_recipe_is_refused_with_file_line_key_and_the_way_out(
    case: str, frx: Frx, tmp_path: Path
) -> None:
    text, says = BAD[case]
    path = write(tmp_path, text)
    code, out, message = frx("run", str(path), "--out", str(tmp_path / "run"))
    assert (code, out) == (2, "")
    assert says in message
    assert "Traceback" not in message
    assert all(line.removeprefix("frx: ").startswith(str(path)) for line in message.splitlines())
    assert not (tmp_path / "run").exists()


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = changed("epochs = 2", 'epochs = "two"').replace("width = 4", "widht = 4")
    text = text.replace('use = "psnr"', 'use = "pnsr"').replace("size = 32", "size = -1")
    with pytest.raises(RecipeError) as caught:
        load(write(tmp_path, text))
    lines = str(caught.value).splitlines()
    keys = ["data.size", "model.widht", "stages[0].epochs", "metrics[0].use"]
    assert len(lines) == len(keys)
    for line, key in zip(lines, keys, strict=True):  # in the order of the file
        assert key in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"profiles": ["quik"]}, "no profile 'quik'; did you mean \"quick\"?"),
        ({"overrides": ["data.sise=3"]}, '--set data.sise=3: data.sise: unknown key; did you mean "size"?'),
        ({"overrides": ["data.size"]}, "--set data.size: expected key=value"),
        ({"overrides": ["stages.trian.epochs=2"]}, 'no such stage; did you mean "train"?'),
        ({"overrides": ["stages.train.epochs=x"]}, "expected a whole number, got 'x'"),
        ({"overrides": ["data.use=folder"]}, "data.path: missing; folder needs it"),
    ],
)  # fmt: skip
def test_wrong_profiles_and_overrides_are_named(
    arguments: dict[str, list[str]], says: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as caught:
        load(write(tmp_path, GOOD), **arguments)
    assert says in str(caught.value)


def test_a_missing_recipe_names_the_nearest_file(tmp_path: Path) -> None:
    write(tmp_path, GOOD).rename(tmp_path / "unet_faces.toml")
    with pytest.raises(RecipeError, match=r'no such recipe; did you mean "unet_faces.toml"'):
        load(tmp_path / "unet_face.toml")


def test_a_recipe_with_a_byte_order_mark_and_windows_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path).name == "tiny"
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(RecipeError, match="not UTF-8"):
        load(path)


# One recipe extends another ----------------------------------------------------------------------


def extending(folder: Path, text: str) -> Path:
    """A recipe beside `x.toml`, which it extends."""
    write(folder, GOOD)
    path = folder / "y.toml"
    path.write_text(f'extends = "x.toml"\n{text}', encoding="utf-8")
    return path


def test_a_recipe_takes_what_it_does_not_say_from_the_one_it_extends(tmp_path: Path) -> None:
    path = extending(
        tmp_path,
        'name = "mine"\nstages.train.losses.l1.weight = 7\nmetrics.ssim = {}\n'
        '[[degradations]]\nuse = "downsample"\n',
    )
    recipe, base = load(path), load(tmp_path / "x.toml")
    assert recipe.name == "mine"
    assert [use.name for use in recipe.degradations] == ["downsample"]
    assert [use.name for use in recipe.metrics] == ["psnr", "ssim"]
    assert recipe.stages[0].losses[0].weight == 7
    assert (recipe.data, recipe.model) == (base.data, base.model)


def test_profiles_are_laid_over_the_whole_recipe_the_extended_ones_first(tmp_path: Path) -> None:
    path = extending(
        tmp_path,
        'name = "mine"\nstages.train.epochs = 9\n'
        "[profiles.quick]\nmodel.width = 2\n[profiles.own]\nseed = 1\n",
    )
    assert profiles(path) == ["quick", "more", "own"]
    recipe = load(path, profiles=["quick"])
    assert recipe.stages[0].epochs == 1  # x.toml's profile, above what y.toml itself says
    assert (recipe.data.dataset.options["size"], recipe.model.options["width"]) == (16, 2)
    with pytest.raises(RecipeError, match=r'y.toml: no profile \'qiuck\'; did you mean "quick"'):
        load(path, profiles=["qiuck"])


def test_a_recipe_extends_one_that_extends_another(tmp_path: Path) -> None:
    path = extending(tmp_path, 'name = "mine"\nseed = 5\n')
    third = tmp_path / "z.toml"
    third.write_text('extends = "y.toml"\nname = "third"\ndata.size = 24\n', encoding="utf-8")
    recipe = load(third)
    assert (recipe.name, recipe.seed, recipe.data.dataset.options["size"]) == ("third", 5, 24)
    path.write_text('extends = "z.toml"\nname = "mine"\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"y.toml:1: extends: z.toml extends itself"):
        load(third)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "y.toml: name: missing"),  # each has a run folder of its own
        ('name = "mine"\nmodel.widht = 2\n', 'y.toml:3: model.widht: unknown key'),
        ('name = "mine"\n[[metrics]]\nuse = "pnsr"\n', "y.toml:4: metrics[0].use: no metric"),
        ('name = "mine"\nstages.trian.epochs = 2\n', 'y.toml:3: stages.trian: no such stage'),
        ('name = "mine"\ndegradations.gaussian_noise.sigma = 3\n', "y.toml:3: degradations[0].sigma"),
    ],
)  # fmt: skip
def test_a_mistake_is_in_the_file_that_has_it(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(extending(tmp_path, text))
    assert says in str(caught.value)


def test_a_mistake_in_the_extended_recipe_names_that_file(tmp_path: Path) -> None:
    path = extending(tmp_path, 'name = "mine"\n')
    write(tmp_path, changed("width = 4", "widht = 4"))
    with pytest.raises(RecipeError, match=r"x.toml:14: model.widht: unknown key"):
        load(path)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('"unet_face.toml"', r'y.toml:1: extends: .*no such recipe; did you mean "unet_faces.toml"'),
        ("3", "y.toml:1: extends: expected a text, got 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended_is_named(value: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, GOOD).rename(tmp_path / "unet_faces.toml")
    path = tmp_path / "y.toml"
    path.write_text(f"extends = {value}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=says):
        load(path)


def test_components_written_as_a_name_alone_are_patched_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(
        'name = "short"\nmodel = "unet"\nhooks = ["samples"]\n[data]\nuse = "synthetic_faces"\n'
        '[[stages]]\nname = "only"\nepochs = 1\nlosses = ["l1"]\noptimizer = "adam"\n'
    )
    changes = ("model.width=4", "hooks.samples.count=4", "stages.only.losses.l1.weight=2")
    found = load(path, overrides=[*changes, "stages.only.optimizer.lr=0.5"])
    assert found.model.options == {"width": 4}
    assert [(hook.name, hook.options) for hook in found.hooks] == [("samples", {"count": 4})]
    (term,) = found.stages[0].losses
    assert (term.label, term.weight) == ("l1", 2)
    assert found.stages[0].optimizer.options == {"lr": 0.5}
