"""The metric `identity_distance`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from frx.embedding import WHOLE_PICTURE, Backbone, Box, FaceEmbedding, face_distance


class IdentityDistance:
    """How far the restored face is from the clean one's identity: 1 − cosine.

    Pictures [B, 3, H, W], RGB 0..1; [B] comes back, each between 0 and 2. Options as for the loss
    `identity`; do not judge by the network that a model was trained with. The number depends on
    the network and on the crop, so both stand in `protocol`.
    """

    higher_is_better: ClassVar[bool] = False

    def __init__(
        self,
        *,
        backbone: Backbone = "inception_resnet_v1",
        weights: str | None = None,
        face_box: Box = WHOLE_PICTURE,
    ) -> None:
        self.embed = FaceEmbedding(backbone=backbone, weights=weights, face_box=face_box)
        self.protocol = f"1 − cosine, {self.embed.protocol}"

    @torch.no_grad()
    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One number an image."""
        self.embed.to(restored.device)
        return face_distance(self.embed(restored), self.embed(clean))
