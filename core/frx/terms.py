"""Loss terms: what a recipe's `[[stages.losses]]` tables become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from attrs import define, field, frozen
from torch import Tensor, nn

from frx.build import call, wants
from frx.errors import RecipeError
from frx.precision import Precision
from frx.recipe import LossTerm
from frx.regions import grown
from frx.registry import nearest

# For each scale of a discriminator what its layers give.
Features = Sequence[Sequence[Tensor]]


@frozen(eq=False)
class Term:
    """weight · loss(outputs[on], batch[target]); other data a loss asks for come by name.

    A loss says by the names it asks for what it takes: an image and the clean one as `restored` and
    `clean`, logits and a target of 1 and 0 as `logits` and `target`, what a discriminator's layers
    make of both pictures as `made_features` and `real_features`.
    """

    table: LossTerm
    loss: Callable[..., Tensor]
    label: str = field(init=False)
    # Whether it compares not pictures but what a discriminator's layers make of them.
    compares_features: bool = field(init=False)

    @label.default
    def _(self) -> str:
        return self.table.label

    @compares_features.default
    def _(self) -> bool:
        return wants(self.loss, "real_features")

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """The weighted loss of one batch.

        Raises:
            RecipeError: the model has no such output, or the batch no such target; the loss cannot
                take these pictures, or gives something else than one number.
        """
        table, label = self.table, f"loss {self.label}"
        made = chosen(outputs, label, "on", table.on)
        wanted = chosen(batch, label, "target", table.target)
        if table.on == "image" and made.shape[-2:] != wanted.shape[-2:]:
            raise RecipeError(
                f"{label}: the model makes an image {list(made.shape)} where {table.target} is "
                f"{list(wanted.shape)}; the size has to stay"
            )
        data = {**batch, "restored": made, "logits": made, "clean": wanted, "target": wanted}
        if table.region is not None:
            data["region"] = grown(batch[table.region], table.ring_px)
        return self._value(data)

    def of_features(self, made: Features, real: Features) -> Tensor:
        """The weighted loss of what a discriminator's layers make of a batch and of clean ones."""
        return self._value({"made_features": made, "real_features": real})

    def _value(self, data: Mapping[str, Any]) -> Tensor:
        try:
            value = call(self.loss, data)
        except ValueError as error:  # such as a picture that is too small for it
            raise RecipeError(f"loss {self.label}: {error}") from error
        if isinstance(value, Tensor) and value.ndim == 0:
            return value if self.table.weight == 1 else self.table.weight * value
        what = f"{list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise RecipeError(f"loss {self.label}: gives {what}; one number, a tensor [], is wanted")


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """The sum of one loss or more."""
    return reduce(add, losses.values())


def chosen(tensors: Mapping[str, Tensor], who: str, key: str, name: str) -> Tensor:
    """The tensor that a recipe names.

    Raises:
        RecipeError: it is not there; says which are.
    """
    if name not in tensors:
        raise RecipeError(f"{who}: {key} = {name!r} is not there; {nearest(name, tensors)}")
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
        terms = cls(built)
        if not terms.labels:
            raise RecipeError(
                f"loss {built[0].label}: compares features, which no validation has; a stage needs "
                "another loss beside it, such as l1, by which its best weights are found"
            )
        return terms

    @property
    def labels(self) -> list[str]:
        """Of the terms that compare pictures; these a validation has as well."""
        return [term.label for term in self.terms if not term.compares_features]

    @property
    def compare_features(self) -> list[str]:
        """The labels of the other ones."""
        return [term.label for term in self.terms if term.compares_features]

    def __call__(
        self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The weighted loss of every term that compares pictures, by its label."""
        return {
            term.label: term(outputs, batch) for term in self.terms if not term.compares_features
        }

    def of_features(self, made: Features, real: Features) -> dict[str, Tensor]:
        """The weighted loss of every term that compares features, by its label."""
        return {
            term.label: term.of_features(made, real)
            for term in self.terms
            if term.compares_features
        }
