"""The adversarial game of least squares."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval
from torch import Tensor


class LeastSquares:
    """Squared distance of logits from a label: 1 for real pictures, 0 for made ones.

    Mao et al., arXiv 1611.04076, without its factor ½. The discriminator's target for real pictures
    is `real_label`; below 1 it smooths that one side (arXiv 1606.03498). The generator's target is
    always 1. Logits of any shape, losses in float32.
    """

    perfect = 0.0

    def __init__(self, *, real_label: Annotated[float, Interval(gt=0.5, le=1)] = 1.0) -> None:
        self.real_label = real_label
        self.cannot_tell = real_label**2 / 4  # at a logit half-way between the labels

    def real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a real picture."""
        return (logits.float() - self.real_label).square()

    def fake(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a made picture."""
        return logits.float().square()

    def generator(self, logits: Tensor) -> Tensor:
        """Return the generator's loss for each logit of a picture that it made."""
        return (logits.float() - 1).square()
