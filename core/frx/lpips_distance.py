"""LPIPS: how unlike two pictures look, as people judged it (arXiv 1801.03924).

The loss and the metric `lpips` both stand on this. Layers and heads are those of the package lpips;
the trunk's weights come from a verified file and are never random.
"""

from __future__ import annotations

import warnings
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from attrs import frozen
from torch import Tensor, nn

from frx.download import sha256_of
from frx.errors import DataError
from frx.tensor_file import load_tensors
from frx.weights import KNOWN, fill, locate

Network = Literal["alex", "vgg", "squeeze"]

_HEADS = "v0.1"  # those before it were made without the scaling of the colours


@frozen
class _Trunk:
    """Torchvision's network, and the least side of a picture that reaches its last layer."""

    known: str
    smallest_px: int


_TRUNKS: dict[str, _Trunk] = {
    "alex": _Trunk("alexnet", 31),
    "vgg": _Trunk("vgg16", 16),
    "squeeze": _Trunk("squeezenet1_1", 17),
}


class LpipsDistance(nn.Module):
    """The distance [B] of two batches [B, 3, H, W], RGB 0..1; 0 where they are equal.

    `weights` is a path, a name `frx fetch` knows, or None for torchvision's file of this network,
    of which the part before the classifier is used. Always in evaluation mode and in float32, also
    under autocast. The parameters do not learn; gradients reach the restored picture alone, and are
    finite also where a layer sees nothing.
    """

    def __init__(self, *, network: Network, weights: str | None = None) -> None:
        super().__init__()
        self.name: Network = network
        self.weights_path = _find_weights(network, weights)
        built = _build(network, self.weights_path)
        self.scaling, self.slices, self.heads = built.scaling_layer, built.net, built.lins
        self.requires_grad_(False)
        self.train(False)

    @property
    def protocol(self) -> str:
        """Network, heads, package and the start of the trunk's SHA-256, for reports."""
        trunk = _TRUNKS[self.name].known
        digest = sha256_of(self.weights_path)
        text = (
            f"LPIPS, {self.name} with heads {_HEADS} of lpips {metadata.version('lpips')}, "
            f"trunk {trunk} (weights sha256 {digest[:12]}), RGB 0..1 taken to −1..1"
        )
        if digest != KNOWN[trunk].sha256:
            text += "; trunk not torchvision's published file: not comparable with LPIPS elsewhere"
        return text

    def train(self, mode: bool = True) -> LpipsDistance:
        """Stay in evaluation mode: the heads have dropout."""
        return super().train(False)

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One number an image.

        Raises:
            ValueError: the pictures are too small for the network.
        """
        height, width = restored.shape[-2:]
        smallest = _TRUNKS[self.name].smallest_px
        if min(height, width) < smallest:
            raise ValueError(
                f"LPIPS with {self.name} needs pictures of at least {smallest} × {smallest} "
                f"pixels; one of {width} × {height} is too small for it"
            )
        with torch.autocast(restored.device.type, enabled=False):
            with torch.no_grad():
                wanted = self._directions(clean)
            made = self._directions(restored)
            layers = [
                head((one - other).square()).mean(dim=(1, 2, 3))
                for head, one, other in zip(self.heads, made, wanted, strict=True)
            ]
            return torch.stack(layers).sum(dim=0)

    def _directions(self, picture: Tensor) -> list[Tensor]:
        """What each layer sees, at every place as a unit vector over its channels.

        Where all channels are 0 the norm has the gradient 0, and not NaN as a root of squares.
        """
        x, seen = self.scaling(2 * picture.float() - 1), []
        for part in self.slices.children():
            x = part(x)
            seen.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10))
        return seen


def _find_weights(network: Network, weights: str | None) -> Path:
    """The trunk's file.

    Raises:
        ValueError: there is no such network.
        DataError: there is no such file.
    """
    if network not in _TRUNKS:
        raise ValueError(f"network {network!r} is none of {', '.join(get_args(Network))}")
    try:
        return locate(weights or _TRUNKS[network].known)
    except DataError as error:
        if weights is not None:
            raise
        raise DataError(
            f"LPIPS needs the trained weights of its network: {error}; another network or a path "
            f'is chosen with network = "…" ({", ".join(get_args(Network))}) and weights = "…"'
        ) from error


def _build(network: Network, path: Path) -> Any:
    """The package's own modules, filled from its heads and from the trunk's file.

    On torch's meta device the package neither downloads a trunk nor draws random weights for the
    whole classifier, which would take 550 MB for vgg and numbers from the global generator.
    """
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # torchvision's, on how the package asks for its networks
        built = lpips.LPIPS(net=network, pretrained=False, pnet_rand=True, verbose=False)
    built.net.to_empty(device="cpu")
    built.lins.to_empty(device="cpu")
    heads = Path(lpips.__file__).parent / "weights" / _HEADS / f"{network}.pth"
    of_heads = {key.removeprefix("lin"): tensor for key, tensor in load_tensors(heads).items()}
    fill(built.lins, of_heads, heads, f"the heads of {network}")
    tensors = load_tensors(path)
    of_trunk = {key: t for key, t in tensors.items() if not key.startswith("classifier.")}
    fill(_by_torchvisions_names(built.net), of_trunk, path, _TRUNKS[network].known)
    return built


def _by_torchvisions_names(slices: nn.Module) -> nn.Module:
    """The same layers, called "features.0" and so on as in a file of the whole classifier."""
    features = nn.Module()
    for part in slices.children():
        for number, layer in part.named_children():
            features.add_module(number, layer)
    whole = nn.Module()
    whole.add_module("features", features)
    return whole
