"""The constant schedule."""

from attrs import frozen


@frozen
class Constant:
    """The learning rate as it stands, from first step to last."""

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return 1."""
        return 1.0
