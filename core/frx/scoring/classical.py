"""What classical methods make of a batch, to be scored beside a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from frx.build import call, needs
from frx.errors import RecipeError
from frx.grids import to_pixels
from frx.loader import Batch, to_device
from frx.parallel import on_all_cores
from frx.recipe import Compared

Picture = NDArray[np.uint8]


@frozen(eq=False)
class NamedBaseline:
    """A baseline as a recipe names it."""

    name: str
    baseline: Any
    table: dict[str, Any]  # its component and options

    @classmethod
    def build(cls, compared: Iterable[Compared]) -> list[NamedBaseline]:
        """Make those of a recipe."""
        return [cls(c.label, c.baseline.build(), c.baseline.table()) for c in compared]

    @property
    def needs_mask(self) -> bool:
        """Whether it does nothing where no damage is marked."""
        return needs(self.baseline, "mask")

    def __call__(self, batch: Batch) -> Tensor:
        """Return its pictures [B, 3, H, W] of the batch's degraded ones, all cores at work.

        Raises:
            RecipeError: it cannot take one of them, or makes something else than a picture.
        """
        made = list(on_all_cores(lambda number: self._picture(batch, number), range(batch.size)))
        return to_device(torch.from_numpy(np.stack(made)), batch["degraded"].device)

    def _picture(self, batch: Batch, number: int) -> Picture:
        degraded = to_pixels(batch["degraded"][number])
        mask = to_pixels(batch["mask"][number])[..., 0]
        try:
            made: Picture = call(self.baseline, {"degraded": degraded, "mask": mask})
        except ValueError as error:
            raise RecipeError(
                f"baseline {self.name}: {error} ({batch.names[number]}); leave it out or change "
                "the images"
            ) from error
        if made.shape != degraded.shape or made.dtype != np.uint8:
            raise RecipeError(
                f"baseline {self.name}: makes {made.dtype} {list(made.shape)} of uint8 "
                f"{list(degraded.shape)} ({batch.names[number]}); size and type have to stay"
            )
        return made
