"""Recipes: what is read, how profiles and overrides combine, and 50 ways of getting one wrong."""

from pathlib import Path

import pytest

from frx.errors import RecipeError
from frx.recipe import Recipe, load
from frx.recipe_files import profiles

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
    import tomli_w

    first = load(write(tmp_path, GOOD), profiles=["more"])
    again = load(write(tmp_path, tomli_w.dumps(first.table())))
    assert again.table() == first.table()


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_recipe_is_valid_with_each_profile_that_needs_no_weights(path: Path) -> None:
    names = profiles(path)
    assert "quick" in names
    for profile in [(), *((name,) for name in names)]:
        assert isinstance(load(path, profiles=profile), Recipe)


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
    "text for a number": (changed("epochs = 2", 'epochs = "2"'), ":18: stages[0].epochs: expected a whole number, got '2'"),
    "fraction for a whole number": (changed("epochs = 2", "epochs = 2.5"), "stages[0].epochs: expected a whole number, got 2.5"),
    "truth for a number": (changed("epochs = 2", "epochs = true"), "stages[0].epochs: expected a whole number, got True"),
    "text for a rate": (changed("lr = 1e-3", 'lr = "1e-3"'), "stages[0].optimizer.lr: expected a number, got '1e-3'"),
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
    "not TOML": (changed("size = 32", "size = "), "not valid TOML"),
    "empty": ("", "name: missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "-"))
def test_a_wrong_recipe_is_refused_with_file_line_key_and_the_way_out(
    case: str, tmp_path: Path
) -> None:
    text, says = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load(path)
    message = str(caught.value)
    assert says in message
    assert message.startswith(str(path))
    assert caught.value.exit_code == 2


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
