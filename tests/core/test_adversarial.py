"""The adversarial trainer: real games between small networks, stopped, continued and watched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from frx import experiment, images
from frx.grids import CAPTION_PX, GAP_PX
from frx.hooks.watch import Watch
from frx.precision import Precision
from frx.recipe import Recipe, load
from frx.run import Position, Run
from frx.terms import Terms, total
from frx.trainers.adversarial import Adversarial, Cadence
from frx_losses.vanilla import Vanilla

CPU = torch.device("cpu")

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 24
count = 20

[[degradations]]
use = "square_hole"
size_px = 8
margin_px = 4

[model]
use = "inpaint_unet"
width = 4

[[stages]]
name = "pretrain"
epochs = 2
batch_size = 4
losses = [{ use = "l1", on = "generated" }]

[[stages]]
name = "gan"
epochs = 2
batch_size = 4
optimizer = { use = "adam", lr = 1e-3 }
optimizers = { discriminator = { use = "adam", lr = 4e-3, betas = [0.5, 0.999] } }

  [stages.trainer]
  use = "adversarial"
  discriminator = "small_patchgan"
  game = { use = "vanilla", real_label = 0.9 }
  region = "mask"
  ring_px = 2
  generator_cadence = { every_batches = 2, after_epoch = 1 }

  [[stages.losses]]
  use = "l1"
  on = "generated"
  region = "mask"
  ring_px = 2
  weight = 10

[[metrics]]
use = "psnr"

[[hooks]]
use = "samples"
count = 2
"""


def at_stage(recipe: Recipe, number: int, folder: Path) -> Run:
    """A run about to begin a stage, with a batch at hand."""
    run = experiment.open_run(recipe, folder, CPU)
    run.position.stage = number
    run.begin_stage()
    return run


def first_batch(run: Run) -> Any:
    return next(run.loader("train").batches(run.sets["train"].indices, 4, epoch=0))


# What reaches whom ------------------------------------------------------------------------------


@pytest.mark.parametrize("game", ["vanilla", "least_squares", "hinge"])
def test_the_adversarial_term_reaches_the_generators_weights(
    game: str, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(recipe_file, overrides=[f"stages.gan.trainer.game={{use={game!r}}}"])
    run = at_stage(recipe, 1, tmp_path)
    monkeypatch.setattr(Run, "update", lambda self, name, loss: None)
    logged = run.trainer.step(run, first_batch(run))
    weights = dict(run.model.named_parameters())
    gradients = torch.autograd.grad(logged["adversarial"], list(weights.values()))
    still = {"attention.gamma"}  # all that leads to the attention is multiplied by it, and it is 0
    reached = {name for name, g in zip(weights, gradients, strict=True) if g.abs().max() > 0}
    assert {n for n in weights if not n.startswith("attention")} <= reached | still
    assert not any(p.grad is not None for p in run.networks["discriminator"].module.parameters())


def test_each_network_learns_from_its_own_loss_alone(recipe: Recipe, tmp_path: Path) -> None:
    run = at_stage(recipe, 1, tmp_path)
    trainer: Any = run.trainer
    batch = first_batch(run)
    model, judge = run.model, run.networks["discriminator"].module
    before = [[p.detach().clone() for p in network.parameters()] for network in (model, judge)]
    outputs = run.forward("model", batch)
    trainer._train_discriminator(run, batch, outputs["image"].detach())
    assert all(map(torch.equal, before[0], model.parameters()))
    assert not any(map(torch.equal, before[1], judge.parameters()))
    after = [p.detach().clone() for p in judge.parameters()]
    trainer._train_generator(run, batch, outputs, outputs["image"])
    assert all(map(torch.equal, after, judge.parameters()))
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())


class Brightness(nn.Module):
    """Takes bright pictures for real, pixel by pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([20.0]))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"logits": self.slope * (image.mean(dim=1, keepdim=True) - 0.5)}


class Bench:
    """The part of a run that a trainer uses, with networks that nobody registered."""

    def __init__(self, trainer: Adversarial) -> None:
        self.modules = trainer.networks()
        self.position = Position()
        self.updates: list[str] = []

    def forward(self, name: str, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return Precision(CPU, bf16=False).forward(self.modules[name], batch)

    def mean(self, value: Tensor) -> Tensor:
        return value

    def update(self, name: str, losses: Mapping[str, Tensor]) -> None:
        assert total(losses).requires_grad
        self.updates.append(name)


class Darkened(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([1.0]))

    def forward(self, degraded: Tensor) -> Tensor:
        return degraded * self.factor


def pictures(clean: float, degraded: float) -> dict[str, Tensor]:
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 4:8, 4:8] = 1
    shape = (2, 3, 16, 16)
    return {
        "clean": torch.full(shape, clean),
        "degraded": torch.full(shape, degraded),
        "mask": mask,
    }


def adversarial(**options: Any) -> tuple[Adversarial, Bench]:
    chosen = {"discriminator": Brightness(), "game": Vanilla()} | options
    trainer = Adversarial(Darkened(), Terms([]), **chosen)
    return trainer, Bench(trainer)


@pytest.mark.parametrize(("hold_back", "learns"), [(0.0, True), (0.3, False)])
def test_a_discriminator_that_wins_too_clearly_is_held_back(hold_back: float, learns: bool) -> None:
    trainer, bench = adversarial(hold_back=hold_back)
    logged = trainer.step(bench, pictures(clean=0.9, degraded=0.1))  # type: ignore[arg-type]
    assert logged["discriminator"] < 0.01
    assert bench.updates == ["discriminator"] * learns + ["model"]


def test_one_that_cannot_tell_is_not_held_back() -> None:
    trainer, bench = adversarial(hold_back=0.9)
    logged = trainer.step(bench, pictures(clean=0.5, degraded=0.5))  # type: ignore[arg-type]
    assert logged["discriminator"].item() == pytest.approx(0.6931, abs=1e-3)
    assert bench.updates == ["discriminator", "model"]


def test_only_patches_in_the_region_are_judged() -> None:
    """Bright inside the hole, dark outside: the verdict is that of the hole."""
    batch = pictures(clean=0.9, degraded=0.1)
    inside = batch["mask"].bool().expand_as(batch["clean"])
    batch["degraded"][inside] = 0.9
    whole, bench = adversarial()
    hole, _ = adversarial(region="mask")
    assert whole.step(bench, batch)["adversarial"] > 5  # type: ignore[arg-type]
    assert hole.step(bench, batch)["adversarial"] < 0.01  # type: ignore[arg-type]
    wider, _ = adversarial(region="mask", ring_px=2)
    assert 1 < wider.step(bench, batch)["adversarial"] < 7  # type: ignore[arg-type]


def test_r1_is_half_gamma_times_the_squared_gradient_at_real_pictures() -> None:
    trainer, bench = adversarial(r1=10.0)
    logged = trainer.step(bench, pictures(clean=0.6, degraded=0.1))  # type: ignore[arg-type]
    # Each logit's gradient is 20 / 3 for three values; logits do not share values.
    assert logged["r1"].item() == pytest.approx(10 / 2 * 16 * 16 * 3 * (20 / 3) ** 2)
    (slope,) = torch.autograd.grad(
        trainer._penalty(pictures(0.6, 0.1)), trainer.discriminator.slope
    )
    assert slope.item() == pytest.approx(10 / 2 * 16 * 16 * 3 * 2 * 20 / 9)


def test_a_conditional_discriminator_sees_the_degraded_picture() -> None:
    seen: list[tuple[float, float]] = []

    class Conditional(Brightness):
        def forward(self, image: Tensor, degraded: Tensor) -> dict[str, Tensor]:
            seen.append((image.mean().item(), degraded.mean().item()))
            return super().forward(image)

    trainer, bench = adversarial(discriminator=Conditional())
    trainer.step(bench, pictures(clean=0.75, degraded=0.25))  # type: ignore[arg-type]
    assert seen == [(0.75, 0.25), (0.25, 0.25), (0.25, 0.25)]  # real, made, made for the generator


def test_cadences_say_who_learns_when() -> None:
    trainer, bench = adversarial(
        generator_cadence=Cadence(every_batches=2, after_epoch=1),
        discriminator_cadence=Cadence(every_batches=3),
    )
    found = []
    for epoch in (0, 1):
        for batch in range(4):
            bench.position.epoch, bench.position.batch, bench.updates = epoch, batch, []
            trainer.step(bench, pictures(0.6, 0.4))  # type: ignore[arg-type]
            found.append("+".join(name[0] for name in bench.updates))
    assert found == ["d+m", "m", "m", "d+m", "d+m", "", "m", "d"]
    assert list(trainer.never_acts(1)) == [
        "generator_cadence never acts: it begins after epoch 1 of 1"
    ]


# Whole runs -------------------------------------------------------------------------------------


def test_stopped_in_either_stage_and_continued_the_bytes_are_the_same(
    recipe: Recipe, tmp_path: Path, bytes_of: Any, stop_after: Any
) -> None:
    """Both networks, both optimisers, running statistics, the watch: all of it."""
    experiment.run(recipe, tmp_path / "whole", CPU)
    whole = bytes_of(tmp_path / "whole")
    for steps in (3, 8, 10, 14):  # in stage one, at its end, in both epochs of stage two
        broken = tmp_path / f"broken-{steps}"
        stop_after(recipe, broken, steps)
        experiment.run(recipe, broken, CPU)
        assert bytes_of(broken) == whole, steps


def test_the_gan_starts_from_the_best_of_pretraining(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def noted(run: Run, begin: Any = Run.begin_stage) -> None:
        if run.position.stage == 1 and not seen:
            seen["best"] = {k: v.clone() for k, v in (run.best_weights or {}).items()}
            seen["start"] = {k: v.clone() for k, v in run.model.state_dict().items()}
        begin(run)

    monkeypatch.setattr(Run, "begin_stage", noted)
    experiment.run(recipe, tmp_path / "run", CPU)
    assert seen["start"].keys() == seen["best"].keys()
    assert all(torch.equal(seen["start"][name], seen["best"][name]) for name in seen["best"])


def test_a_second_adversarial_stage_goes_on_with_the_discriminator(
    recipe_file: Path, tmp_path: Path
) -> None:
    second = TINY[TINY.index('[[stages]]\nname = "gan"') : TINY.index("[[metrics]]")]
    recipe_file.write_text(
        TINY.replace("[[metrics]]", second.replace('"gan"', '"more"') + "[[metrics]]")
    )
    run = at_stage(load(recipe_file), 1, tmp_path)
    with torch.no_grad():
        for parameter in run.networks["discriminator"].module.parameters():
            parameter.fill_(0.125)
    run.position.stage = 2
    run.begin_stage()
    carried = run.networks["discriminator"].module.parameters()
    assert all((parameter == 0.125).all() for parameter in carried)


def test_a_run_leaves_both_networks_a_line_a_stage_and_hole_scores(
    recipe: Recipe, tmp_path: Path
) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    judge = safetensors.torch.load_file(tmp_path / "run/model/discriminator.safetensors")
    assert judge["layers.0.weight"].shape == (32, 3, 4, 4)
    record = json.loads((tmp_path / "run/run.json").read_bytes())
    assert [(s["name"], s["epochs"]) for s in record["stages"]] == [("pretrain", 2), ("gan", 2)]
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    last = lines[-1]
    assert last["kind"] == "val"
    assert {"psnr whole", "psnr damaged", "l1", "loss"} <= last.keys()
    assert last["loss"] == last["l1"]  # metrics are no part of it
    trained = [line for line in lines if line["kind"] == "train" and line["stage"] == "gan"]
    assert all({"adversarial", "discriminator", "l1"} <= line.keys() for line in trained)
    report = (tmp_path / "run/report.html").read_text()
    assert "<td>gan</td>" in report


def test_pixels_outside_the_hole_are_the_inputs_bit_for_bit_in_every_picture(
    recipe: Recipe, tmp_path: Path
) -> None:
    """Read back from the grids of a run: original | masked | generated | composite."""
    experiment.run(recipe, tmp_path / "run", CPU)
    scale, size = 6, 24 * 6  # small pictures are enlarged to 128 pixels at least
    run = experiment.open_run(recipe, tmp_path / "again", CPU)
    for name, rows in (("gan-0002", 2), ("test", 2)):
        grid = images.read_rgb(tmp_path / "run/samples" / f"{name}.png")
        made = run.samples("val" if name != "test" else "test")
        for row in range(rows):
            top = CAPTION_PX + row * (size + GAP_PX)
            original, masked, generated, composite = (
                grid[top : top + size, left : left + size][::scale, ::scale]
                for left in range(0, 4 * (size + GAP_PX), size + GAP_PX)
            )
            wanted = made.make(int(made.subset.indices[row]))
            outside = wanted["mask"] == 0
            assert (original == wanted["clean"]).all()
            assert (masked == wanted["degraded"]).all()
            assert (composite[outside] == wanted["clean"][outside]).all()
            assert (composite[~outside] == generated[~outside]).all()
            assert (generated[outside] != wanted["clean"][outside]).any()


def test_the_input_of_a_hole_is_scored_inside_and_outside(recipe: Recipe, tmp_path: Path) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    sets = json.loads((tmp_path / "run/scores.json").read_bytes())["sets"]
    psnr = sets["test"]["metrics"]["psnr"]
    undamaged = {name: psnr["undamaged"][name] for name in ("input", "restored", "gain")}
    assert undamaged == {"input": 100.0, "restored": 100.0, "gain": 0.0}
    assert psnr["damaged"]["input"] < psnr["whole"]["input"]


# Honest games -----------------------------------------------------------------------------------


def test_the_run_and_the_report_warn_when_the_discriminator_cannot_tell(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(experiment, "Watch", partial(Watch, window_steps=2, times=2))
    deaf = "stages.gan.optimizers.discriminator={use='sgd', lr=1e-9}"
    recipe = load(recipe_file, overrides=[deaf, "stages.gan.trainer.game='vanilla'"])
    experiment.run(recipe, tmp_path / "run", CPU)
    said = capsys.readouterr().err.replace("\n", " ")
    assert "warning: stage gan, for 4 steps up to step 12: the discriminator cannot tell" in said
    (kept,) = json.loads((tmp_path / "run/run.json").read_bytes())["warnings"]
    assert "0.6931 is that of guessing" in kept
    assert "cannot tell real from restored" in (tmp_path / "run/report.html").read_text()


@pytest.mark.parametrize(
    ("game", "loss", "said"),
    [
        (Vanilla(), 0.6931, "cannot tell"),
        (Vanilla(), 0.75, "cannot tell"),
        (Vanilla(), 0.6, None),
        (Vanilla(), 0.2, None),
        (Vanilla(), 0.005, "wins outright"),
        (Vanilla(real_label=0.9), 0.17, "wins outright"),
        (Vanilla(real_label=0.9), 0.25, None),
    ],
)
def test_what_concerns_the_trainer(game: Vanilla, loss: float, said: str | None) -> None:
    trainer, _ = adversarial(game=game)
    found = trainer.concern({"discriminator": loss})
    assert (found is None) if said is None else (found is not None and said in found)


def test_the_watch_waits_until_it_has_been_so_for_long_and_says_when_it_is_over() -> None:
    trainer, _ = adversarial()

    run: Any = SimpleNamespace(
        trainer=trainer, warnings=[], step=0, stage=SimpleNamespace(name="gan")
    )
    watch = Watch(window_steps=5, times=2)
    for loss, steps in ((0.6931, 7), (0.5, 8), (0.6931, 30), (0.5, 5), (0.0001, 10)):
        for _ in range(steps):
            run.step += 1
            run.log = {"discriminator": torch.tensor(loss)}
            watch.frx_step_end(run)
    first, second = run.warnings
    assert first.startswith("stage gan, for 10 steps up to step 25: the discriminator cannot tell")
    assert first.endswith("; over by step 50")
    assert second.startswith(
        "stage gan, for 10 steps up to step 60: the discriminator wins outright"
    )


def test_a_run_whose_pictures_get_worse_than_the_damaged_ones_says_so(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate that is far too high saturates the generator: black or white holes, not grey ones."""
    monkeypatch.setattr(experiment, "Watch", partial(Watch, times=2))
    far_too_high = "stages.pretrain.optimizer={use='adam', lr=10}"
    recipe = load(recipe_file, overrides=[far_too_high])
    experiment.run(recipe, tmp_path / "run", CPU)
    warnings = json.loads((tmp_path / "run/run.json").read_bytes())["warnings"]
    assert warnings[0].startswith("stage pretrain, for 2 validations up to step 8: by every metric")
    assert "worse than the damaged ones: psnr whole by " in warnings[0]


# What a stage validates on ----------------------------------------------------------------------


def sets_of(recipe: Recipe, stage: int, folder: Path) -> dict[str, set[int]]:
    run = at_stage(recipe, stage, folder)
    return {name: set(subset.indices.tolist()) for name, subset in run.sets.items()}


def test_a_stage_may_validate_on_fewer_and_never_on_what_was_trained_on(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = load(
        recipe_file,
        overrides=[
            "data.count=40",
            "data.identities=20",
            "data.split=[0.6, 0.3, 0.1]",
            "stages.gan.validation_share=0.1",
        ],
    )
    first, second = (sets_of(recipe, stage, tmp_path) for stage in (0, 1))
    assert second["test"] == first["test"]
    assert second["val"] < first["val"]
    assert second["train"] == first["train"] | (first["val"] - second["val"])
    assert len(second["val"]) == 4
    people = [{index % 20 for index in second[name]} for name in ("train", "val", "test")]
    assert not people[0] & people[1]
    assert not people[1] & people[2]


def test_more_validation_than_the_split_leaves_is_refused(
    recipe_file: Path, tmp_path: Path
) -> None:
    from frx.errors import RecipeError

    recipe = load(recipe_file, overrides=["stages.gan.validation_share=0.5"])
    with pytest.raises(RecipeError, match=r"validation_share = 0.5 of 18 images is 9, but .* 2"):
        at_stage(recipe, 1, tmp_path)
