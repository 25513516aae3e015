"""The loss `perceptual`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frx.errors import DataError
from frx.tensor_file import load_tensors
from frx.weights import KNOWN, fill, locate

# ImageNet's mean and deviation, which torchvision's and nearly all of timm's networks expect.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# relu1_1 … relu5_1 of VGG-19, as HiFaceGAN weights them; of SqueezeNet where LPIPS looks.
LAYERS = {
    "vgg19": {
        "features.1": 1 / 32,
        "features.6": 1 / 16,
        "features.11": 1 / 8,
        "features.20": 1 / 4,
        "features.29": 1.0,
    },
    "squeezenet1_1": {f"features.{n}": 1.0 for n in (1, 4, 7, 9, 10, 11, 12)},
}
# What stands behind the features of an image classifier, under the names that it goes by.
CLASSIFIERS = ("classifier.", "head.", "fc.")


class Perceptual(nn.Module):
    """Weighted mean absolute difference of what layers of a trained network see.

    Pictures [B, 3, H, W], RGB 0..1, brought to ImageNet's mean and deviation. `network` is VGG-19
    or any other that torchvision or timm has by that name. It is frozen and computes in float32;
    gradients reach the restored picture only. `weights` is a path or a name `frx fetch` knows, None
    stands for the network's own; where they are missing, making the loss fails, for random weights
    would teach nothing. `layers` are names of its modules, with the weight of each, such as
    { "features.3" = 0.5, "features.8" = 1.0 }. Without being told VGG-19 has relu1_1 … relu5_1 with
    1/32, 1/16, 1/8, 1/4 and 1 (arXiv 1711.11585), squeezenet1_1 the seven places where LPIPS looks
    (arXiv 1801.03924) with 1 each. From arXiv 1603.08155.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        network: str = "vgg19",
        weights: str | None = None,
        layers: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.network = _built(network)
        self.layer_weights = LAYERS.get(network, {}) if layers is None else layers
        self._seen: dict[str, Tensor] = {}
        self._listen(network)
        _load(self.network, network, weights)
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(DEVIATION).reshape(1, 3, 1, 1), persistent=False
        )
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Perceptual:
        """Stay in evaluation mode: batch statistics would make one picture depend on the others."""
        return super().train(False)

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One number."""
        with torch.autocast(restored.device.type, enabled=False):
            with torch.no_grad():
                wanted = self._features(clean)
            made = self._features(restored)
        differences = [
            weight * F.l1_loss(made[name], wanted[name])
            for name, weight in self.layer_weights.items()
        ]
        return torch.stack(differences).sum()

    def _features(self, picture: Tensor) -> dict[str, Tensor]:
        self._seen.clear()
        self.network((picture.float() - self.mean) / self.deviation)
        seen = dict(self._seen)
        self._seen.clear()
        return seen

    def _listen(self, network: str) -> None:
        """Note what the layers give.

        Raises:
            ValueError: none is named, or the network has no such module.
        """
        modules = {
            name: module
            for name, module in self.network.named_modules()
            if name and not f"{name}.".startswith(CLASSIFIERS)
        }
        if not self.layer_weights:
            some = ", ".join([name for name in modules if name.count(".") < 2][:12])
            raise ValueError(f"layers has to name some modules of {network}: {some} …")
        for name in self.layer_weights:
            if name not in modules:
                hint = _nearest(name, modules)
                raise ValueError(f"layers: {network} has no module {name!r}{hint}")
            modules[name].register_forward_hook(self._noting(name))
        for module in modules.values():
            if hasattr(module, "inplace"):  # what the layer before it gave is wanted as it was
                module.inplace = False

    def _noting(self, name: str) -> Any:
        def note(module: nn.Module, given: Any, made: Tensor) -> None:
            self._seen[name] = made

        return note


def _built(network: str) -> nn.Module:
    import torchvision

    ours = torchvision.models.list_models(torchvision.models)
    if network in ours:
        built: nn.Module = torchvision.models.get_model(network, weights=None)
        for part in CLASSIFIERS:
            if hasattr(built, name := part.rstrip(".")):
                setattr(built, name, nn.Identity())
        return built
    import timm

    if timm.is_model(network):
        built = timm.create_model(network, pretrained=False, num_classes=0)
        return built
    hint = _nearest(network, [*ours, *timm.list_models()])
    raise ValueError(f"neither torchvision nor timm has an image network {network!r}{hint}")


def _nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, without the thousand others that `frx.registry` would list."""
    close = difflib.get_close_matches(name, sorted(set(known)), 3, 0.3)
    return f"; did you mean {', '.join(close)}?" if close else ""


def _load(built: nn.Module, network: str, weights: str | None) -> None:
    """Trained weights into all but the classifier.

    Raises:
        DataError: there are none, or they are another network's.
    """
    if weights is None and network not in KNOWN:
        raise DataError(
            f"the loss perceptual needs trained weights of {network}: a path, "
            'or a name that `frx fetch` lists, as weights = "…"'
        )
    path = locate(weights or network)
    own = built.state_dict()
    tensors = {
        key: tensor
        for key, tensor in load_tensors(path).items()
        if key in own and not key.startswith(CLASSIFIERS)
    }
    fill(built, tensors, path, network, beside=CLASSIFIERS)
