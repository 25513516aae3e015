"""Whether a restored face is still that of the same person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from attrs import frozen

from frx.align import ffhq_matrix
from frx.embedding import FFHQ_BOX, Backbone, FaceEmbedding, face_distance
from frx.errors import DataError
from frx.restoring.crops import Crop, Pixels
from frx.restoring.places import Places
from frx.weights import locate

SIDE_PX = 224
THRESHOLD = 0.5
AT_ONCE = 16
# In the order in which they are looked for.
NETWORKS: tuple[Backbone, ...] = ("edgeface_xs", "edgeface_xxs", "inception_resnet_v1")


@frozen(eq=False)
class Likeness:
    """Cosine of a face's embeddings before and after; below `threshold` it is called changed."""

    embed: FaceEmbedding
    device: torch.device
    find: Places  # where a photograph was sent through whole, and no face was looked for
    threshold: float = THRESHOLD

    @classmethod
    def open(
        cls,
        device: torch.device,
        find: Places,
        network: Backbone | None = None,
        weights: str | None = None,
        threshold: float = THRESHOLD,
    ) -> Likeness | str:
        """Take the network asked for, or else the first whose weights are in the cache.

        Without any, a sentence says what is missing.

        Raises:
            DataError: the weights asked for are missing or damaged.
        """
        here = (name for name in NETWORKS if _is_here(name))
        chosen = network or (NETWORKS[0] if weights else next(here, None))
        if chosen is None:
            return (
                "Likeness was not measured, as no weights for it are here: "
                "`frx fetch edgeface_xs` (7 MB) brings some."
            )
        embed = FaceEmbedding(backbone=chosen, weights=weights, face_box=FFHQ_BOX)
        return cls(embed.to(device), device, find, threshold)

    @torch.no_grad()
    def __call__(self, before: Pixels, after: Pixels, crops: Sequence[Crop]) -> list[float]:
        """One number a crop, −1..1; 1 where nothing changed."""
        found: list[float] = []
        for start in range(0, len(crops), AT_ONCE):
            some = [_view(crop) for crop in crops[start : start + AT_ONCE]]
            seen = [
                torch.from_numpy(np.stack([view.cut(pixels) for view in some]))
                .permute(0, 3, 1, 2)
                .to(self.device)
                for pixels in (before, after)
            ]
            found += (1 - face_distance(*map(self.embed, seen))).tolist()
        return found


def _view(crop: Crop) -> Crop:
    """The same part at one size for all, so that they make a batch."""
    if crop.face is None:
        return crop.at(SIDE_PX / min(crop.height, crop.width)).square()
    return Crop(ffhq_matrix(crop.face.points, size=SIDE_PX), SIDE_PX, SIDE_PX, crop.face)


def _is_here(network: Backbone) -> bool:
    try:
        locate(network)
    except DataError:
        return False
    return True
