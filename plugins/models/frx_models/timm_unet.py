"""A U-Net on an encoder of timm."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from frx.weights import TIMM, locate
from frx_models import timm_encoder
from frx_models.joining import joined
from frx_models.padding import padded
from frx_models.unet import two_convolutions

# Deeper than at stride 8 the decoder gets no wider.
WIDEST = 8


class TimmUNet(nn.Module):
    """A U-Net whose encoder is any network of timm that sees several sizes.

    `encoder` is a name of timm's, with or without that of a training: "resnet34",
    "convnext_tiny.in12k_ft_in1k", "swin_tiny_patch4_window7_224". With `pretrained` training begins
    with the weights that `frx fetch timm/NAME` brought; `weights` is a file of your own instead, or
    another such name. A trained model has all its weights itself. `levels` is how many of the
    encoder's sizes are used, from the finest; all, unless told. `width` is the decoder's number of
    channels at full size, twice at half size, and at most eight times. `predict` is as for the
    model `unet`: "correction" is added to the input, "image" comes through a sigmoid.

    Takes [B, 3, H, W] in 0..1, of any size. For encoders that cut off what does not divide, as
    ConvNeXt and Swin do, it is padded to multiples of their last stride and cropped back; if they
    are trained on sides that are no such multiples, right and lower edges are restored worse. The
    encoder sees pictures in the mean and deviation that it was trained with. What is finer than its
    first stride, full size above all, is seen by two convolutions a size. Features are normalised
    at each place and brought to the decoder's width; the decoder repeats pixels and convolves
    twice. Weights of the encoder that no feature depends on are frozen.

    The form is that of Ronneberger et al., arXiv 1505.04597.
    """

    differs_in_training = True
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        encoder: str = "resnet18",
        pretrained: bool = False,
        weights: str | None = None,
        levels: Annotated[int, Ge(2)] | None = None,
        width: Annotated[int, Ge(1)] = 32,
        predict: Literal["image", "correction"] = "correction",
    ) -> None:
        super().__init__()
        self.predict = predict
        self.name, self.levels = encoder, levels
        self.weights = weights or (f"{TIMM}{encoder}" if pretrained else None)
        self.encoder, self.sight = timm_encoder.encoder(encoder, levels)
        # In the weights file, for a later timm may name another training first.
        for name, known in (("mean", "mean"), ("deviation", "std")):
            values = torch.tensor(self.encoder.pretrained_cfg[known])
            self.register_buffer(name, values.reshape(1, 3, 1, 1))

        def wide(stride: int) -> int:
            return width * min(stride, WIDEST)

        own = [1]
        while 2 * own[-1] < self.sight.strides[0]:
            own.append(2 * own[-1])
        self.fine = nn.ModuleList(
            two_convolutions(wide(stride // 2) or 3, wide(stride)) for stride in own
        )
        self.skips = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, wide(stride)))
            for channels, stride in zip(self.sight.channels, self.sight.strides, strict=True)
        )
        self.up = nn.ModuleList(
            two_convolutions(wide(coarse) + wide(fine), wide(fine))
            for fine, coarse in reversed([*pairwise(own + self.sight.strides)])
        )
        self.head = nn.Conv2d(width, 3, 3, padding=1)
        self.draw_weights()

    def draw_weights(self) -> None:
        """Keep signals at one strength in the decoder, and let corrections begin small."""
        for module in (*self.fine.modules(), *self.up.modules(), self.head):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        if self.predict == "correction":
            nn.init.normal_(self.head.weight, std=1e-3)

    def load_pretrained(self) -> None:
        """Put trained weights into the encoder, where the options ask for them.

        Raises:
            DataError: their file is missing, damaged or another network's.
        """
        if self.weights is not None:
            timm_encoder.load(self.encoder, self.name, self.levels, locate(self.weights))

    def forward(self, degraded: Tensor) -> Tensor:
        """Return the restored image, [B, 3, H, W]."""
        height, width = degraded.shape[-2:]
        whole = padded(degraded, self.sight.multiple_px, self.sight.least_px)
        x = seen = (whole - self.mean) / self.deviation
        skipped = []
        for number, layer in enumerate(self.fine):
            x = layer(F.max_pool2d(x, 2, ceil_mode=True) if number else x)
            skipped.append(x)
        for bring, feature in zip(self.skips, self.encoder(seen), strict=True):
            placed = feature if self.sight.channels_last else feature.permute(0, 2, 3, 1)
            skipped.append(bring(placed).permute(0, 3, 1, 2))
        x = skipped.pop()
        for layer in self.up:
            finer = skipped.pop()
            x = layer(joined(F.interpolate(x, size=finer.shape[-2:]), finer))
        # In float32 also under autocast: bfloat16 has fewer steps than a picture of 8 bits.
        predicted: Tensor = self.head(x)[..., :height, :width].float()
        return degraded + predicted if self.predict == "correction" else torch.sigmoid(predicted)
