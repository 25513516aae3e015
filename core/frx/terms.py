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
    """weight · loss(outputs[on], batch[target]); other data a loss asks for come by name."""

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
        data = {
            **batch,
            "restored": chosen(outputs, label, "on", table.on),
            "clean": chosen(batch, label, "target", table.target),
        }
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
        """Make the losses; one that is a network (a perceptual loss) goes to the device, frozen."""
        built = []
        for term in recipe_terms:
            loss = term.loss.build()
            if isinstance(loss, nn.Module):
                precision.place(loss).requires_grad_(False).eval()
            if term.region is not None and not wants(loss, "region"):
                raise RecipeError(
                    f"loss {term.label}: cannot be limited to a region, as it does not ask for one"
                )
            built.append(Term(term, loss))
        return cls(built)

    def __call__(
        self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Every term's weighted loss, by its label."""
        return {term.label: term(outputs, batch) for term in self.terms}
