"""The adversarial game with a margin."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


class Hinge:
    """Logits above 1 for real pictures and below −1 for made ones cost nothing.

    Lim and Ye, arXiv 1705.02894; the generator's loss is the negative logit, without bound. Logits
    of any shape, losses in float32.
    """

    cannot_tell = 1.0
    perfect = 0.0

    def real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a real picture."""
        return F.relu(1 - logits.float())

    def fake(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a made picture."""
        return F.relu(1 + logits.float())

    def generator(self, logits: Tensor) -> Tensor:
        """Return the generator's loss for each logit of a picture that it made."""
        return -logits.float()
