"""What the Inception network of FID and KID sees in a picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from attrs import define
from torch import Tensor, nn

from frx.download import sha256_of
from frx.errors import DataError, RecipeError
from frx.tensor_file import load_tensors
from frx.weights import KNOWN, locate

Features = Literal[64, 192, 768, 2048]

_KNOWN = "inception_v3_fid"


class Inception:
    """Features [B, features], float64 on the CPU, of pictures [B, 3, H, W], RGB 0..1.

    torch-fidelity's port of TensorFlow's Inception (arXiv 1512.00567), which pictures reach as the
    original has them: rounded to 8 bits, and brought to 299 × 299 without antialiasing. `features`
    is the size of the layer that is looked at. `weights` is a path or a name `frx fetch` knows,
    None for the published file; they are never random and never downloaded.
    """

    def __init__(self, *, features: Features, weights: str | None = None) -> None:
        self.features: Features = features
        extractor = _extractor()
        self.weights_path = locate(weights or _KNOWN)
        self.network: nn.Module = _filled(extractor, features, self.weights_path)

    @property
    def protocol(self) -> str:
        """Layer, the start of the weights' SHA-256 and how pictures reach it, for reports."""
        digest = sha256_of(self.weights_path)
        layer = "pool3" if self.features == 2048 else "an early layer, comparable with itself alone"
        text = (
            f"{self.features} features ({layer}) of TensorFlow's Inception as torch-fidelity has "
            f"it (weights sha256 {digest[:12]}), RGB rounded to 8 bits, bilinear to 299 px as in "
            "TensorFlow 1, without antialiasing"
        )
        if digest != KNOWN[_KNOWN].sha256:
            text += "; not the published weights: comparable with no other"
        return text

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> Tensor:
        """One row an image."""
        in_8_bits = picture.clamp(0, 1).mul(255).round().byte()
        with torch.autocast(picture.device.type, enabled=False):
            (seen,) = self.network.to(picture.device)(in_8_bits)
        on_cpu: Tensor = seen.cpu()
        return on_cpu.double()


@define(eq=False)
class TwoSets:
    """A tally for one of torchmetrics' distances; `read` gets its number for so many images."""

    inception: Inception
    distance: Any
    read: Callable[[Any, int], float]
    images: int = 0

    def add(self, restored: Tensor, clean: Tensor) -> None:
        """Take in a batch, [B, 3, H, W], RGB 0..1."""
        self.distance.update(self.inception(clean), real=True)
        self.distance.update(self.inception(restored), real=False)
        self.images += len(clean)

    def value(self) -> float:
        """The number for all that was added."""
        return self.read(self.distance, self.images)


class AsGiven(nn.Module):
    """Stands where torchmetrics wants a network, and gives the features that it is given."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, features: Tensor) -> Tensor:
        """The same tensor."""
        return features


def _extractor() -> Any:
    """torch-fidelity's class, once it is sure that torchmetrics is there, too.

    Raises:
        RecipeError: one of them is not installed.
    """
    try:
        import torchmetrics  # noqa: F401
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise RecipeError(
            "fid and kid need torchmetrics and torch-fidelity; "
            f"pip install 'frx[distributions]' brings them ({error})"
        ) from error
    return FeatureExtractorInceptionV3


def _filled(extractor: Any, features: int, path: Path) -> nn.Module:
    """The network with a file's tensors, read by frx: torch-fidelity would unpickle anything.

    Raises:
        DataError: they are another network's, or not finite.
    """
    tensors = load_tensors(path)
    if bad := [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise DataError(f"{path} is damaged: {bad[0]} is not finite")
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    try:
        network: nn.Module = extractor("inception-v3-compat", [str(features)], file)
    except RuntimeError as error:  # a name or a shape differs
        complaint = " ".join(str(error).split("\n\t")[1:2])[:200].rstrip(" .")
        raise DataError(f"{path} does not hold the weights of {_KNOWN}: {complaint}") from error
    return network
