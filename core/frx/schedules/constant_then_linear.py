"""The constant-then-linear schedule."""

from typing import Annotated

from annotated_types import Ge
from attrs import frozen


@frozen(kw_only=True)
class ConstantThenLinear:
    """Constant, then a straight line to zero over the last epochs, as pix2pix trains."""

    decay_epochs: Annotated[int, Ge(1)]

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return 1 until `decay_epochs` before the end, then fall to 0."""
        return min(1.0, max(0.0, (epochs - epoch) / self.decay_epochs))
