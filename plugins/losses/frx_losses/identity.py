"""The loss `identity`."""

from __future__ import annotations

import torch
from torch import Tensor

from frx.embedding import WHOLE_PICTURE, Backbone, Box, FaceEmbedding, face_distance


class Identity:
    """Mean of 1 − cosine between the restored and the clean face's embeddings.

    Pictures [B, 3, H, W], RGB 0..1; between 0 (same direction) and 2. The network is frozen and
    gradients reach the restored picture only. `weights` is a path or a name `frx fetch` knows, None
    stands for the backbone's own; where they are missing, making the loss fails, for identity from
    random weights would teach nothing. `face_box` (left, top, right, bottom as fractions) cuts out
    the part that looks like the network's training crops; FFHQ-aligned pictures do best with
    [0.129, 0.123, 0.873, 0.867], CelebA's central square with [0.165, 0.205, 0.840, 0.880].
    """

    def __init__(
        self,
        *,
        backbone: Backbone = "inception_resnet_v1",
        weights: str | None = None,
        face_box: Box = WHOLE_PICTURE,
    ) -> None:
        self.embed = FaceEmbedding(backbone=backbone, weights=weights, face_box=face_box)

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One number."""
        self.embed.to(restored.device)
        with torch.no_grad():
            wanted = self.embed(clean)
        return face_distance(self.embed(restored), wanted).mean()
