"""A discriminator's features: compared by loss terms, and games at several scales."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frx import experiment
from frx.errors import RecipeError
from frx.recipe import Recipe, load
from frx.run import Run

CPU = torch.device("cpu")

TINY = """\
name = "tiny"

[data]
use = "synthetic_faces"
size = 32
count = 20

[[degradations]]
use = "gaussian_noise"

[model]
use = "hifacegan"
width = 2

[[stages]]
name = "gan"
epochs = 2
batch_size = 4
optimizer = { use = "adam", lr = 1e-4, betas = [0.0, 0.9] }
optimizers = { discriminator = { use = "adam", lr = 4e-4, betas = [0.0, 0.9] } }

  [stages.trainer]
  use = "adversarial"
  discriminator = { use = "multiscale_patchgan", width = 4 }
  game = "least_squares"

  [[stages.losses]]
  use = "l1"

  [[stages.losses]]
  use = "feature_matching"
  weight = 10

[[hooks]]
use = "early_stopping"
"""


def begun(recipe: Recipe, folder: Path) -> tuple[Run, Any]:
    run = experiment.open_run(recipe, folder, CPU)
    run.begin_stage()
    indices = run.sets["train"].indices
    return run, next(run.loader("train").batches(indices, 4, epoch=0))


def test_feature_matching_is_logged_trained_on_and_no_part_of_validation(
    recipe: Recipe, tmp_path: Path
) -> None:
    experiment.run(recipe, tmp_path / "run", CPU)
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["kind"] == "train"]
    assert trained
    assert all(line["feature_matching"] > 0 for line in trained)
    validated = [line for line in lines if line["kind"] == "val"]
    assert [line["loss"] == line["l1"] for line in validated] == [True, True]


def test_its_gradient_reaches_the_model_and_leaves_none_in_the_discriminator(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, batch = begun(recipe, tmp_path)
    judge = run.networks["discriminator"].module
    monkeypatch.setattr(Run, "update", lambda self, name, loss: None)
    logged = run.trainer.step(run, batch)
    weights = list(run.model.parameters())
    gradients = torch.autograd.grad(logged["feature_matching"], weights, allow_unused=True)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert sum(gradient.any() for gradient in gradients) > len(gradients) / 2
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())


def test_its_value_is_that_of_the_discriminator_at_hand(recipe: Recipe, tmp_path: Path) -> None:
    run, batch = begun(recipe, tmp_path)
    trainer: Any = run.trainer
    seen: list[Any] = []
    judge = run.networks["discriminator"].module
    judge.register_forward_hook(lambda module, given, found: seen.append(found["features"]))
    outputs = run.forward("model", batch)
    logged = trainer._train_generator(run, batch, outputs, outputs["image"])
    of_made, of_real = seen
    by_hand = [
        sum((one.float() - other.float()).abs().mean() for one, other in zip(*pair, strict=True))
        for pair in zip(of_made, of_real, strict=True)
    ]
    assert logged["feature_matching"].item() == pytest.approx(
        10 * torch.stack(by_hand).sum().item() / 2
    )


class TwoVerdicts(nn.Module):
    """Logits 1 for the picture, 3 at half the size of it, where there are fewer of them."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        plain = self.one * (0 * image[:, :1] + 1)
        return {"logits": [plain, 3 * plain[..., ::2, ::2]]}


def test_a_game_at_two_scales_is_their_mean_however_many_patches_each_has(
    recipe: Recipe, tmp_path: Path
) -> None:
    run, batch = begun(recipe, tmp_path)
    trainer: Any = run.trainer
    trainer.discriminator = run.networks["discriminator"].module = TwoVerdicts()
    seen = trainer._judge(run, batch, batch["clean"])
    # Least squares: 0 and 4 from real, 1 and 9 from made, equal weights for both scales.
    assert trainer._mean(trainer.game.real, seen, batch).item() == pytest.approx(2)
    assert trainer._mean(trainer.game.fake, seen, batch).item() == pytest.approx(5)
    trainer.r1 = 2.0
    assert trainer._penalty(batch).item() == 0


def test_stopped_and_continued_the_bytes_are_the_same(
    recipe: Recipe, tmp_path: Path, bytes_of: Any, stop_after: Any
) -> None:
    """The vectors of spectral normalisation are part of the state."""
    experiment.run(recipe, tmp_path / "whole", CPU)
    stop_after(recipe, tmp_path / "broken", 5)
    experiment.run(recipe, tmp_path / "broken", CPU)
    assert bytes_of(tmp_path / "broken") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            'stages.gan.trainer.discriminator={use="small_patchgan"}',
            "loss feature_matching: asks for features, and the discriminator SmallPatchGAN gives "
            "none; multiscale_patchgan does",
        ),
        (
            'stages.gan.trainer={use="supervised"}',
            "loss feature_matching: compares what a discriminator's layers make of pictures, and "
            "the trainer supervised has none; adversarial has",
        ),
        (
            'stages.gan.losses=[{use="feature_matching"}]',
            "loss feature_matching: compares features, which no validation has; a stage needs "
            "another loss beside it, such as l1, by which its best weights are found",
        ),
        (
            'hooks.early_stopping.monitor=["feature_matching"]',
            "hook early_stopping: stage gan has no 'feature_matching' to monitor",
        ),
    ],
)
def test_where_there_are_no_features_a_sentence_says_so(
    change: str, sentence: str, recipe_file: Path, tmp_path: Path
) -> None:
    recipe = load(recipe_file, overrides=[change])
    with pytest.raises(RecipeError) as raised:
        experiment.run(recipe, tmp_path / "run", CPU)
    assert sentence in str(raised.value)
