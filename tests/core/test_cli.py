"""The command line as a user meets it: what it prints, what it writes, how it ends."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frx import images
from frx.datasets.synthetic_faces import SyntheticFaces

RECIPE = """\
name = "tiny"
[data]
use = "synthetic_faces"
size = 24
count = 20
[[degradations]]
use = "one_of"
of = [{ use = "gaussian_noise" }, { use = "downsample" }]
[model]
use = "unet"
width = 4
predict = "correction"
[[stages]]
name = "train"
epochs = 2
batch_size = 8
schedule = { use = "step", every_epochs = 15 }
losses = [{ use = "l1" }]
[[metrics]]
use = "psnr"
[[metrics]]
use = "ssim"
[[hooks]]
use = "early_stopping"
[profiles.quick]
stages.train.epochs = 1
"""


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test stands in a folder that holds one recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(RECIPE)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder with pictures in a sub-folder too."""
    drawn = SyntheticFaces(size=24, count=6, seed=5)
    for index, name in enumerate(("a.png", "b.png", "more/c.png", "more/d.jpg")):
        images.write(tmp_path / "faces" / name, drawn[index]["clean"])
    return tmp_path / "faces"


@pytest.fixture
def trained(frx, tmp_path: Path) -> Path:
    code, _, err = frx("run", "tiny.toml", "--profile", "quick")
    assert code == 0, err
    return tmp_path / "runs" / "tiny-quick"


def test_run_names_its_folder_after_recipe_and_profiles_and_shows_scores(
    frx, trained: Path
) -> None:
    code, out, err = frx("run", "tiny.toml", "--profile", "quick")
    assert code == 0
    assert "already complete" in err
    assert re.search(r"test +│ 2 +│ psnr", out)
    about = json.loads((trained / "run.json").read_bytes())
    assert about["finished"]
    assert about["images"] == {"train": 16, "val": 2, "test": 2}


def test_a_wrong_recipe_is_a_sentence_a_line_and_exit_2(frx, tmp_path: Path) -> None:
    text = RECIPE.replace("width = 4", "widht = 4").replace("epochs = 2", "epochs = 0")
    (tmp_path / "wrong.toml").write_text(text)
    code, out, err = frx("run", "wrong.toml")
    assert code == 2
    assert err.splitlines() == [
        'wrong.toml:11: model.widht: unknown key; did you mean "width"? (has: predict, use, width)',
        "wrong.toml:15: stages[0].epochs: must be at least 1, got 0",
    ]
    assert not out
    assert not (tmp_path / "runs").exists()


def test_check_shows_what_would_happen_and_trains_nothing(frx, tmp_path: Path) -> None:
    code, out, _ = frx("check", "tiny.toml")
    assert code == 0
    assert "encoder" in out
    assert "memory, estimated" in out
    assert "one of val, untrained: psnr" in out
    flat = " ".join(out.split())
    assert "schedule step never acts: it steps every 15 epochs in a stage of 2" in flat
    assert "hook early_stopping never acts" in flat
    assert "tiny: nothing wrong" in out
    assert not (tmp_path / "runs").exists()


def test_show_writes_kinds_and_tables_among_the_options_as_a_recipe_has_them(frx) -> None:
    code, out, _ = frx("show", "trainer", "adversarial")
    assert code == 0
    lines = {words[0]: " ".join(words[1:]) for line in out.splitlines() if (words := line.split())}
    assert lines["discriminator"] == "discriminator required"
    assert lines["generator_cadence"] == (
        "{ every_batches: int, at least 1; after_epoch: int, at least 0 } "
        "= { every_batches = 1, after_epoch = 0 }"
    )


def test_check_names_what_never_acts_in_the_old_photo_recipe(frx) -> None:
    path = Path(__file__).parents[2] / "recipes" / "old_photo_gan.toml"
    small = ("data.count=20", "data.size=32", "model.levels=3", "model.width=4")
    code, out, _ = frx("check", str(path), *(word for key in small for word in ("--set", key)))
    assert code == 0
    flat = " ".join(out.split())
    for said in (
        "stage pretrain: schedule step never acts: it steps every 15 epochs in a stage of 10",
        "stage pretrain: hook early_stopping never acts: it waits for 10 validations",
        "stage gan: schedule step never acts: it steps every 25 epochs in a stage of 10",
        "stage gan: generator_cadence never acts: it begins after epoch 10 of 10",
    ):
        assert said in flat
    assert "network discriminator" in flat
    assert "10 × 4 × 4" in flat  # 90 % of 18 pictures, in batches of 4
    assert "10 × 2 × 8" in flat  # 80 % of them, in batches of 8


def test_check_says_that_a_region_is_empty_where_no_damage_is_marked(frx) -> None:
    code, out, _ = frx("check", "tiny.toml", "--set", 'stages.train.losses.l1.region="mask"')
    assert code == 0
    assert "loss l1 never acts: its region is the marked damage, and none is marked" in " ".join(
        out.split()
    )


def test_check_finds_a_folder_that_is_not_there(frx) -> None:
    code, _, err = frx("check", "tiny.toml", "--set", "data.use=folder", "--set", "data.path=nope")
    assert code == 3
    assert "nope" in err


def test_restore_keeps_names_formats_sizes_and_names_what_failed(
    frx, trained: Path, faces: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (31, 45), np.uint8)).save(faces / "gray.png")
    rgba = rng.integers(0, 256, (16, 17, 4), np.uint8)
    rgba[..., 3] = 77
    Image.fromarray(rgba).save(faces / "alpha.png")
    (faces / "broken.jpg").write_bytes(b"no picture")
    code, out, err = frx("restore", "faces", "-o", "out", "--model", str(trained), "--whole")
    assert code == 3
    assert "restored 6 into out" in out
    assert "broken.jpg" in err
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    photographs = {"a.png", "b.png", "more/c.png", "more/d.jpg", "gray.png", "alpha.png"}
    assert written == photographs | {"results.jsonl", "report.html", ".restore.lock"}
    with Image.open(tmp_path / "out/gray.png") as gray:
        assert (gray.mode, gray.size) == ("L", (45, 31))
    with Image.open(tmp_path / "out/alpha.png") as alpha:
        assert alpha.mode == "RGBA"
        assert set(np.asarray(alpha)[..., 3].flatten()) == {77}
    with Image.open(tmp_path / "out/more/d.jpg") as jpeg:
        assert jpeg.format == "JPEG"


def test_restore_says_what_it_cannot_do(frx, trained: Path, faces: Path) -> None:
    code, _, err = frx("restore", "faces", "-o", "faces", "--model", str(trained))
    assert code == 3
    assert "would be overwritten" in err
    code, _, err = frx("restore", "nothing", "-o", "out", "--model", str(trained))
    assert (code, "nothing: no such file or folder" in err) == (3, True)
    code, _, err = frx("restore", "faces", "-o", "out", "--model", "faces")
    assert (code, "faces: no trained model" in err) == (3, True)


def test_a_damaged_model_is_named(frx, trained: Path, faces: Path) -> None:
    weights = trained / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    code, _, err = frx("restore", "faces", "-o", "out", "--model", str(trained))
    assert code == 3
    assert "this model cannot be read" in err
    assert "Traceback" not in err


def test_degrade_writes_the_same_bits_every_time_and_paired_reads_them(
    frx, faces: Path, tmp_path: Path
) -> None:
    for out in ("one", "two"):
        code, _, err = frx("degrade", "faces", "-o", out, "--recipe", "tiny.toml")
        assert code == 0, err
    first = {
        p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*.png")
    }
    second = {
        p.relative_to(tmp_path / "two"): p.read_bytes() for p in (tmp_path / "two").rglob("*.png")
    }
    assert first == second
    assert {p.as_posix() for p in first} == {
        f"{kind}/{name}"
        for kind in ("clean", "corrupted")
        for name in ("a.png", "b.png", "more/c.png", "more/d.png")
    }
    code, _, err = frx("run", "tiny.toml", "--set", "data.use=paired", "--set", "data.path=one",
                       "--set", "data.split=[0.5,0.25,0.25]", "--set", "degradations=[]")  # fmt: skip
    assert code == 0, err


def test_degraded_on_disk_is_what_evaluation_sees(
    frx, trained: Path, faces: Path, tmp_path: Path
) -> None:
    """The input's score of `evaluate` is that of the files that `degrade` wrote."""
    for name in ("more/d.jpg",):
        (faces / name).unlink()
    assert frx("degrade", "faces", "-o", "set", "--recipe", "tiny.toml")[0] == 0
    assert frx("evaluate", str(trained), "--data", "faces", "--out", "scores")[0] == 0
    found = json.loads((tmp_path / "scores/scores.json").read_bytes())
    psnr = []
    for clean in sorted((tmp_path / "set/clean").rglob("*.png")):
        corrupted = tmp_path / "set/corrupted" / clean.relative_to(tmp_path / "set/clean")
        error = images.read_rgb(clean) / 255.0 - images.read_rgb(corrupted) / 255.0
        psnr.append(-10 * np.log10((error**2).mean()))
    given = found["sets"]["faces"]["metrics"]["psnr"]["whole"]["input"]
    assert given == pytest.approx(np.mean(psnr), abs=1e-4)


def test_evaluate_with_other_damage_and_on_one_split(frx, trained: Path, tmp_path: Path) -> None:
    code, out, err = frx("evaluate", str(trained), "--split", "test", "--set",
                         'degradations=[{ use = "motion_blur" }]', "--out", "scores")  # fmt: skip
    assert code == 0, err
    assert "scores and pictures are in scores" in out
    found = json.loads((tmp_path / "scores/scores.json").read_bytes())
    assert set(found["sets"]) == {"test"}
    assert (tmp_path / "scores/samples/test.png").exists()
    code, _, err = frx("evaluate", str(trained), "--split", "tset")
    assert code == 2
    assert "no set 'tset'; did you mean \"test\"?" in err


def test_evaluate_of_an_unfinished_run_says_so(frx, tmp_path: Path) -> None:
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/recipe.toml").write_text(RECIPE)
    code, _, err = frx("evaluate", "runs/x")
    assert code == 3
    assert "an unfinished run" in err


def test_prepare_splits_and_samples(frx, tmp_path: Path) -> None:
    drawn = SyntheticFaces(size=16, count=20)
    for index in range(20):
        images.write(tmp_path / "all" / f"{index}.png", drawn[index]["clean"])
    code, out, err = frx("prepare", "all", "--out", "set")
    assert code == 0, err
    assert "train 16, val 2, test 2" in out
    code, out, _ = frx("prepare", "all", "--out", "sample", "--counts", "train=5,valid=3")
    assert "train 5, val 3" in out  # as data sets call it
    code, _, err = frx("prepare", "all", "--out", "set")
    assert code == 3
    assert "set" in err


def test_unreadable_images_are_named_then_left_out_if_the_recipe_says_so(
    frx, tmp_path: Path
) -> None:
    drawn = SyntheticFaces(size=24, count=20)
    for index in range(20):
        images.write(tmp_path / "all" / f"{index:02}.png", drawn[index]["clean"])
    (tmp_path / "all/07.png").write_bytes(b"\x89PNG but not really")
    words = ["run", "tiny.toml", "--set", "data.use=folder", "--set", "data.path=all"]
    code, _, err = frx(*words)
    assert code == 3
    assert "07.png" in err
    assert 'data.on_bad = "skip" leaves it out' in err
    code, _, err = frx(*words, "--set", "data.on_bad=skip", "--out", "skipped")
    assert code == 0, err
    assert "1 unreadable images were left out" in err
    record = json.loads((tmp_path / "skipped/run.json").read_bytes())
    assert list(record["bad_images"]) == ["07.png"]


def test_images_in_two_sets_are_found_by_their_pixels(frx, tmp_path: Path) -> None:
    drawn = SyntheticFaces(size=24, count=14)
    for index in range(12):
        split = "train" if index < 8 else "val"
        images.write(tmp_path / "all" / split / f"{index:02}.png", drawn[index]["clean"])
    words = ["check", "tiny.toml", "--set", "data.use=folder", "--set", "data.path=all"]
    code, out, _ = frx(*words, "--set", "data.size=24", "--images")
    assert code == 0
    assert "too good" not in out
    for index in range(7):  # in another format, under another name
        images.write(tmp_path / "all" / "val" / f"copy{index}.bmp", drawn[index]["clean"])
    code, out, _ = frx(*words, "--set", "data.size=24", "--images")
    assert code == 0
    assert "7 images of val are in train, too, so its scores are too good:" in out
    assert "val/copy0.bmp is train/00.png" in out
    assert "copy4.bmp" in out
    assert "copy5.bmp" not in out  # the first five are named


@pytest.mark.parametrize(
    ("count", "change", "says"),
    [
        (0, "data.split=[0.8,0.1,0.1]", "all does not exist"),
        (1, "data.split=[0.8,0.1,0.1]", "no sample is left for the split 'train'|split 'val'"),
        (9, "data.split=[1,0,0]", "no sample is left for the split 'val'"),
    ],
)
def test_too_few_images_are_said_before_training(
    count: int, change: str, says: str, frx, tmp_path: Path
) -> None:
    for index in range(count):
        images.write(tmp_path / f"all/{index}.png", SyntheticFaces(size=24)[index]["clean"])
    words = ("--set", "data.use=folder", "--set", "data.path=all", "--set", change)
    for command in ("check", "run"):
        code, _, err = frx(command, "tiny.toml", *words)
        assert code == 3
        assert re.search(says, err)


def test_show_teaches_a_component(frx) -> None:
    code, out, _ = frx("show", "degradation", "gaussian_noise")
    assert code == 0
    assert "sigma" in out
    assert "(0.2, 0.5)" in out
    code, out, _ = frx("show", "loss", "l1")
    assert "restored, clean" in out
    code, _, err = frx("show", "modle", "unet")
    assert code == 2
    assert 'did you mean "model"?' in err


def test_list_filters_by_kind_and_pattern(frx) -> None:
    code, out, _ = frx("list", "losses", "l*")
    assert code == 0
    assert "l1" in out
    assert "mse" not in out
    rows = json.loads(frx("list", "--json")[1])
    assert {"kind", "name", "summary", "package", "version", "problem"} == set(rows[0])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["rnu"], 2, "no command 'rnu'; did you mean \"run\"?"),
        (["run"], 2, "Missing argument 'RECIPE'"),
        (["run", "nothing.toml"], 2, "nothing.toml: no such recipe"),
        (["run", "tiny.toml", "--profile", "quik"], 2, 'did you mean "quick"?'),
        (["run", "tiny.toml", "--device", "cuda:9"], 2, "--device cuda:9: not to be had here"),
        (["run", "tiny.toml", "--device", "gpu"], 2, "--device gpu"),
        (["run", "tiny.toml", "--out", "tiny.toml"], 2, "a file where the run folder would be"),
        (["degrade", "nothing", "-o", "x", "--recipe", "tiny.toml"], 3, "nothing"),
    ],
)
def test_wrong_words_get_one_sentence(frx, words: list[str], code: int, says: str) -> None:
    found, _, err = frx(*words)
    assert found == code
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")], ids=str
)
def test_memory_that_runs_out_anywhere_is_a_sentence(
    frx, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def no_room(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("frx.cli.LazyGroup.get_command", no_room)
    code, _, err = frx("list")
    assert code == 5
    assert "out of memory" in err
    assert "Traceback" not in err


IDENTITY = Path(__file__).parents[2] / "recipes" / "unet_faces.toml"


def test_the_identity_profile_without_weights_names_the_file_and_trains_nothing(
    frx, tmp_path: Path
) -> None:
    words = ["run", str(IDENTITY), "--profile", "quick", "--profile", "identity"]
    code, _, err = frx(*words, "--set", "data.count=20")
    assert code == 3
    assert "20180402-114759-vggface2.pt" in err
    assert "frx fetch inception_resnet_v1" in err
    assert not list(tmp_path.rglob("log.jsonl"))


def test_the_identity_profile_trains_and_scores_with_another_backbone(
    frx, tmp_path: Path, random_embedding: str
) -> None:
    """The weights are drawn at random: the path is what is tested, not the score."""
    settings = [
        "data.count=20",
        "stages.train.epochs=1",
        *(
            f"{where}.{option}"
            for where in ("stages.train.losses.identity", "metrics.identity_distance")
            for option in ("backbone=edgeface_xxs", f"weights={random_embedding}")
        ),
    ]
    words = [word for setting in settings for word in ("--set", setting)]
    code, out, err = frx(
        "run", str(IDENTITY), "--profile", "quick", "--profile", "identity", *words, "--out", "run"
    )
    assert code == 0, err
    assert "identity_distance ↓" in out
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert all(line["identity"] > 0 for line in log)
