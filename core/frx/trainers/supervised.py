"""The supervised trainer."""

from collections.abc import Mapping

from torch import Tensor, nn

from frx.errors import RecipeError
from frx.run import Run
from frx.terms import Terms


class Supervised:
    """One network, any number of loss terms on its named outputs."""

    def __init__(self, model: nn.Module, losses: Terms) -> None:
        if losses.compare_features:
            raise RecipeError(
                f"loss {losses.compare_features[0]}: compares what a discriminator's layers make "
                "of pictures, and the trainer supervised has none; adversarial has"
            )
        self.model = model
        self.losses = losses

    def networks(self) -> dict[str, nn.Module]:
        """The model alone."""
        return {"model": self.model}

    def step(self, run: Run, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Restore the batch, sum the terms, update the model."""
        losses = self.losses(run.forward("model", batch), batch)
        run.update("model", losses)
        return losses
