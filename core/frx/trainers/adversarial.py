"""The adversarial trainer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Interval
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional as F

from frx.build import call
from frx.errors import RecipeError
from frx.regions import grown, mean_over
from frx.run import Position, Run
from frx.specs import AdversarialLoss, Discriminator
from frx.terms import Features, Terms, chosen

# So near to a value that a discriminator has stayed there, on a scale on which 0 is a
# discriminator that is always right, and 1 one that cannot tell.
NEAR = 0.02


@frozen(kw_only=True)
class Cadence:
    """A network learns in one batch out of so many, once so many epochs are done."""

    every_batches: Annotated[int, Ge(1)] = 1
    after_epoch: Annotated[int, Ge(0)] = 0

    def is_due(self, position: Position) -> bool:
        """Whether the network learns in the batch that the run has come to."""
        return position.epoch < self.after_epoch or position.batch % self.every_batches == 0


class Adversarial:
    """A generator learns to pass for real, while a discriminator learns to tell.

    The model is the generator: it learns from the stage's loss terms and, weighted, from the
    verdict on its output `on`, with gradients through the discriminator (arXiv 1406.2661).
    `discriminator` is a network whose forward names what it sees: one that asks for `degraded`
    beside `image` is conditional. `game` says how verdicts become losses; one that judges at
    several scales has the mean over these. Its optimiser is `optimizers.discriminator` of the
    stage. Loss terms may compare what its layers make of made and of real pictures.

    With `region = "mask"` only patches that overlap marked damage, grown by `ring_px`, are judged:
    elsewhere an inpainted picture is real, and nobody could tell. `r1` penalises the
    discriminator's gradient at real pictures (γ of arXiv 1801.04406; pixels in 0..1). The
    discriminator is held back, that is, skips batches, while its loss is less than `hold_back` of
    what it is for one that cannot tell. A cadence such as { every_batches = 2, after_epoch = 10 }
    lets a network learn in every second batch once ten epochs of the stage are done.

    Logs "adversarial", the generator's weighted part, and "discriminator", the mean of its losses
    on real and on made pictures, without the penalty, which is "r1".
    """

    def __init__(
        self,
        model: nn.Module,
        losses: Terms,
        *,
        discriminator: Discriminator,
        game: AdversarialLoss,
        weight: Annotated[float, Ge(0)] = 1.0,
        on: str = "image",
        region: Literal["mask"] | None = None,
        ring_px: Annotated[int, Ge(0)] = 0,
        r1: Annotated[float, Ge(0)] = 0.0,
        hold_back: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        generator_cadence: Cadence = Cadence(),
        discriminator_cadence: Cadence = Cadence(),
    ) -> None:
        assert isinstance(discriminator, nn.Module)
        self.model = model
        self.losses = losses
        self.discriminator = discriminator
        self.game = game
        self.weight = weight
        self.on = on
        self.region = region
        self.ring_px = ring_px
        self.r1 = r1
        self.hold_back = hold_back
        self.generator_cadence = generator_cadence
        self.discriminator_cadence = discriminator_cadence

    def networks(self) -> dict[str, nn.Module]:
        """The generator and the discriminator."""
        return {"model": self.model, "discriminator": self.discriminator}

    def step(self, run: Run, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Restore the batch; let first the discriminator learn from it, then the generator."""
        learns = self.generator_cadence.is_due(run.position)
        with torch.set_grad_enabled(learns):
            outputs = run.forward("model", batch)
        made = chosen(outputs, "trainer adversarial", "on", self.on)
        logged: dict[str, Tensor] = {}
        if self.discriminator_cadence.is_due(run.position):
            logged |= self._train_discriminator(run, batch, made.detach())
        if learns:
            logged |= self._train_generator(run, batch, outputs, made)
        return logged

    def _train_discriminator(
        self, run: Run, batch: Mapping[str, Tensor], made: Tensor
    ) -> dict[str, Tensor]:
        real = self._mean(self.game.real, self._judge(run, batch, batch["clean"]), batch)
        fake = self._mean(self.game.fake, self._judge(run, batch, made), batch)
        loss = (real + fake) / 2
        losses, logged = {"discriminator": loss}, {"discriminator": loss.detach()}
        if self.hold_back and self._standing(run.mean(loss).item()) < self.hold_back:
            return logged
        if self.r1:
            penalty = self._penalty(batch)
            logged["r1"] = penalty.detach()
            losses["r1"] = penalty
        run.update("discriminator", losses)
        return logged

    def _train_generator(
        self,
        run: Run,
        batch: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor],
        made: Tensor,
    ) -> dict[str, Tensor]:
        losses = self.losses(outputs, batch)
        with _not_learning(self.discriminator):
            seen = self._judge(run, batch, made)
            if self.losses.compare_features:
                with torch.no_grad():
                    real = self._judge(run, batch, batch["clean"])
                losses |= self.losses.of_features(self._features(seen), self._features(real))
            losses["adversarial"] = self.weight * self._mean(self.game.generator, seen, batch)
            run.update("model", losses)
        return losses

    def _judge(self, run: Run, batch: Mapping[str, Tensor], picture: Tensor) -> dict[str, Any]:
        return run.forward("discriminator", {**batch, "image": picture})

    def _mean(
        self, rule: Callable[[Tensor], Tensor], seen: Mapping[str, Any], batch: Mapping[str, Tensor]
    ) -> Tensor:
        """Of a rule of the game over all patches, or those that overlap the region; over scales."""
        marked = None if self.region is None else grown(batch[self.region], self.ring_px)
        means = [
            mean_over(
                rule(logits),
                None if marked is None else F.adaptive_max_pool2d(marked, logits.shape[-2:]),
            )
            for logits in scales(seen["logits"])
        ]
        return torch.stack(means).mean()

    def _features(self, seen: Mapping[str, Any]) -> Features:
        if "features" not in seen:
            raise RecipeError(
                f"loss {self.losses.compare_features[0]}: asks for features, and the discriminator "
                f"{type(self.discriminator).__name__} gives none; multiscale_patchgan does"
            )
        features: Features = seen["features"]
        return features

    def _penalty(self, batch: Mapping[str, Tensor]) -> Tensor:
        """R1, in float32: bfloat16 is too coarse for gradients of gradients."""
        clean = batch["clean"].detach().requires_grad_(True)
        seen = call(self.discriminator, {**batch, "image": clean})
        logits = torch.stack([logits.sum() for logits in scales(seen["logits"])]).sum()
        (gradient,) = torch.autograd.grad(logits, clean, create_graph=True)
        return self.r1 / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()

    def _standing(self, loss: float) -> float:
        """The discriminator's loss between always right, 0, and cannot tell, 1."""
        return (loss - self.game.perfect) / (self.game.cannot_tell - self.game.perfect)

    def concern(self, means: Mapping[str, float]) -> str | None:
        """What is wrong with the game, to judge by the mean losses of many batches."""
        if "discriminator" not in means:
            return None
        loss = means["discriminator"]
        standing = self._standing(loss)
        if standing > 1 - NEAR:
            return (
                f"the discriminator cannot tell real from restored: its loss is {loss:.4f}, and "
                f"{self.game.cannot_tell:.4f} is that of guessing; the generator learns nothing "
                "from it (a higher learning rate or a larger discriminator may help)"
            )
        if standing < NEAR:
            return (
                f"the discriminator wins outright: its loss is {loss:.4f}, and "
                f"{self.game.perfect:.4f} is that of one which is always right; the generator "
                "learns nothing from it (hold_back, real_label = 0.9, r1 or a lower learning "
                "rate of the discriminator may help)"
            )
        return None

    def never_acts(self, epochs: int) -> Iterator[str]:
        """Say which cadence begins too late for a stage of so many epochs."""
        for name in ("generator_cadence", "discriminator_cadence"):
            cadence: Cadence = getattr(self, name)
            if cadence.every_batches > 1 and cadence.after_epoch >= epochs:
                yield (
                    f"{name} never acts: it begins after epoch {cadence.after_epoch} of {epochs}"
                )


def scales(logits: Tensor | list[Tensor]) -> list[Tensor]:
    """A discriminator's logits, one tensor for each of its scales."""
    return logits if isinstance(logits, list) else [logits]


@contextmanager
def _not_learning(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network, and leave none in it."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
