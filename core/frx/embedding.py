"""Face identity as a direction: two pictures of one person point the same way.

The loss `identity` and the metric `identity_distance` both stand on this. The networks are frozen,
their weights come from a verified file and are never random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from frx.download import sha256_of
from frx.errors import DataError
from frx.tensor_file import load_tensors
from frx.weights import fill, locate

Backbone = Literal["inception_resnet_v1", "edgeface_xs", "edgeface_xxs"]
Box = tuple[float, float, float, float]

WHOLE_PICTURE: Box = (0.0, 0.0, 1.0, 1.0)
# The networks were trained on ArcFace's 112 × 112 alignment (eyes at (38.3, 51.7), (73.5, 51.5),
# nose (56.0, 71.7), mouth (41.5, 92.4), (70.7, 92.2)). Each box is the square that brings the five
# points of an alignment nearest to these, by least squares over scale and shift: nearer than
# 2.2 ArcFace pixels for FFHQ, 2.5 for CelebA.
FFHQ_BOX: Box = (0.129, 0.123, 0.873, 0.867)
CELEBA_BOX: Box = (0.165, 0.259, 0.840, 0.810)  # the files as published, 178 × 218
CELEBA_SQUARE_BOX: Box = (0.165, 0.205, 0.840, 0.880)  # their central square, 178 × 178

_TIMM_NAMES = {"edgeface_xs": "edgenext_x_small", "edgeface_xxs": "edgenext_xx_small"}
_DIMENSIONS = 512


class FaceEmbedding(nn.Module):
    """Turns pictures [B, 3, H, W], RGB 0..1, into unit vectors [B, 512] of who is seen.

    The part `face_box` (left, top, right, bottom, as fractions of the picture) is cut out and
    brought to the network's own size: 160 × 160 for InceptionResnetV1 (arXiv 1503.03832 and
    1602.07261), 112 × 112 for EdgeFace (arXiv 2307.01838). Weights: a path, a known name, or None
    for the known file of this backbone. Always in evaluation mode and in float32, also under
    autocast: with bfloat16's 8 bits a cosine near 1 could not tell a good restoration from a very
    good one. The parameters do not learn; gradients reach the picture.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        weights: str | None = None,
        face_box: Box = WHOLE_PICTURE,
    ) -> None:
        super().__init__()
        left, top, right, bottom = face_box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(
                f"face_box {list(face_box)}: left, top, right, bottom are fractions in 0..1, "
                f"left below right and top below bottom"
            )
        self.backbone = backbone
        self.face_box = face_box
        self.weights_path = _find_weights(backbone, weights)
        self.network = _build(backbone, self.weights_path)
        self.requires_grad_(False)
        self.train(False)

    @property
    def size_px(self) -> int:
        """Height and width of what the network sees."""
        return 160 if self.backbone == "inception_resnet_v1" else 112

    @property
    def protocol(self) -> str:
        """Network, the start of its weights' SHA-256 and the part of the picture, for reports."""
        part = (
            "whole picture"
            if self.face_box == WHOLE_PICTURE
            else f"face box {', '.join(f'{edge:g}' for edge in self.face_box)}"
        )
        digest = sha256_of(self.weights_path)[:12]
        return f"{self.backbone} (weights sha256 {digest}), {part} at {self.size_px} px"

    def train(self, mode: bool = True) -> FaceEmbedding:
        """Stay in evaluation mode: batch statistics would make one face depend on the others."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """Unit vectors [B, 512] of pictures [B, 3, H, W] in 0..1."""
        with torch.autocast(image.device.type, enabled=False):
            face = functional.interpolate(
                self._cut(image).float(),
                size=(self.size_px, self.size_px),
                mode="bilinear",
                antialias=True,
            )
            if self.backbone == "inception_resnet_v1":
                scaled = (face * 255 - 127.5) / 128
            else:
                scaled = face * 2 - 1
            return functional.normalize(self.network(scaled), dim=1)

    def _cut(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        left, top, right, bottom = self.face_box
        x, y = round(left * width), round(top * height)
        return image[
            ..., y : max(y + 1, round(bottom * height)), x : max(x + 1, round(right * width))
        ]


def face_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 − cosine of unit vectors [B, D], as [B]: 0 for the same direction, 2 for the opposite."""
    return 1 - (a * b).sum(dim=1)


def _find_weights(backbone: Backbone, weights: str | None) -> Path:
    try:
        return locate(weights or backbone)
    except DataError as error:
        if weights is not None:
            raise
        raise DataError(
            f"face identity needs trained weights: {error}; another network or a path is chosen "
            f'with backbone = "…" ({", ".join(get_args(Backbone))}) and weights = "…"'
        ) from error


def _build(backbone: Backbone, path: Path) -> nn.Module:
    tensors = load_tensors(path)
    network: Any
    if backbone == "inception_resnet_v1":
        from facenet_pytorch import InceptionResnetV1

        network = InceptionResnetV1(pretrained=None, classify=False)
        tensors = {key: t for key, t in tensors.items() if not key.startswith("logits.")}
    else:
        import timm

        network = timm.create_model(_TIMM_NAMES[backbone], pretrained=False)
        network.reset_classifier(_DIMENSIONS)
        tensors = _multiply_out({key.removeprefix("model."): t for key, t in tensors.items()})
    fill(network, tensors, path, backbone)
    built: nn.Module = network
    return built


def _multiply_out(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """EdgeFace's "gamma" files keep a linear layer as two of low rank; make it one again."""
    whole = dict(tensors)
    for key in tensors:
        if key.endswith(".linear1.weight"):
            layer = key.removesuffix(".linear1.weight")
            if (second := whole.pop(f"{layer}.linear2.weight", None)) is None:
                continue
            whole[f"{layer}.weight"] = second @ whole.pop(key)
            if (bias := whole.pop(f"{layer}.linear2.bias", None)) is not None:
                whole[f"{layer}.bias"] = bias
    return whole
