"""The step schedule."""

from typing import Annotated

from annotated_types import Ge, Gt
from attrs import frozen


@frozen(kw_only=True)
class Step:
    """The learning rate times `factor` after every so many epochs."""

    every_epochs: Annotated[int, Ge(1)]
    factor: Annotated[float, Gt(0)] = 0.1

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return `factor` to the number of whole periods that are done."""
        return float(self.factor ** (int(epoch) // self.every_epochs))

    def never_acts(self, epochs: int) -> str | None:
        """Say so when the stage ends before the first step."""
        if self.every_epochs >= epochs:
            return f"steps every {self.every_epochs} epochs in a stage of {epochs}"
        return None
