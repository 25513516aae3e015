"""The original adversarial game."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F


class Vanilla:
    """Binary cross-entropy: which pictures are real, told with probabilities.

    Goodfellow et al., arXiv 1406.2661, with the generator's loss that does not saturate. The
    discriminator's target for real pictures is `real_label`; below 1 it smooths that one side
    (arXiv 1606.03498), made pictures have 0. Logits of any shape, losses in float32, in nats.
    """

    def __init__(self, *, real_label: Annotated[float, Interval(gt=0.5, le=1)] = 1.0) -> None:
        self.real_label = real_label
        self.cannot_tell = entropy(real_label / 2)
        self.perfect = entropy(real_label) / 2

    def real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a real picture."""
        logits = logits.float()
        return F.softplus(-logits) + (1 - self.real_label) * logits

    def fake(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a made picture."""
        return F.softplus(logits.float())

    def generator(self, logits: Tensor) -> Tensor:
        """Return the generator's loss for each logit of a picture that it made."""
        return F.softplus(-logits.float())


def entropy(probability: float) -> float:
    """Return the nats of an event that happens with this probability, above 0."""
    outcomes = (probability, 1 - probability)
    return sum(p * math.log(1 / p) for p in outcomes if p > 0)
