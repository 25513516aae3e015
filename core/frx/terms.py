"""Loss terms: what a recipe's `[[stages.losses]]` tables become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define, frozen
from torch import Tensor, nn

from frx.build import call, wants
from frx.errors import RecipeError
from frx.precision import Precision
from frx.recipe import LossTerm
from frx.regions import grown


@frozen(eq=False)
class Term:
    """weight · loss(outputs[on], batch[target]); other data a loss asks for come by name.

    A loss says by the names it asks for what it takes: an image and the clean one as `restored` and
    `clean`, logits and a target of 1 and 0 as `logits` and `target`.
    """

    table: LossTerm
    loss: Callable[..., Tensor]

    @property
    def label(self) -> str:
        return self.table.label

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """The weighted loss of one batch.

        Raises:
            RecipeError: the model has no such output, or the batch no such target.
        """
        table, label = self.table, f"loss {self.label}"
        made = chosen(outputs, label, "on", table.on)
        wanted = chosen(batch, label, "target", table.target)
        data = {**batch, "restored": made, "logits": made, "clean": wanted, "target": wanted}
        if table.region is not None:
            data["region"] = grown(batch[table.region], table.ring_px)
        value: Tensor = call(self.loss, data)
        return table.weight * value


def chosen(tensors: Mapping[str, Tensor], who: str, key: str, name: str) -> Tensor:
    """The tensor that a recipe names.

    Raises:
        RecipeError: it is not there; says which are.
    """
    if name not in tensors:
        listed = ", ".join(sorted(tensors))
        raise RecipeError(f"{who}: {key} = {name!r} is not there ({listed})")
    return tensors[name]


@define(eq=False)
class Terms:
    """The loss terms of a stage."""

    terms: list[Term]

    @classmethod
    def build(cls, recipe_terms: Sequence[LossTerm], precision: Precision) -> Terms:
        """Make the losses; one that is a network (a perceptual loss) goes to the device, frozen.

        Raises:
            RecipeError: a loss cannot be limited to a region, or take what its term names.
        """
        built = []
        for term in recipe_terms:
            loss = term.loss.build()
            if isinstance(loss, nn.Module):
                precision.place(loss).requires_grad_(False).eval()
            if term.region is not None and not wants(loss, "region"):
                raise RecipeError(
                    f"loss {term.label}: cannot be limited to a region, as it does not ask for one"
                )
            if term.on == "image" and wants(loss, "logits"):
                raise RecipeError(
                    f"loss {term.label}: asks for logits, and an image is none; a mask's are "
                    'on = "mask", target = "mask"'
                )
            built.append(Term(term, loss))
        return cls(built)

    def __call__(
        self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Every term's weighted loss, by its label."""
        return {term.label: term(outputs, batch) for term in self.terms}
