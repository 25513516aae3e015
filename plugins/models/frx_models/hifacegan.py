"""HiFaceGAN: suppress what is damaged on the way down, replenish faces on the way up."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from frx_models.instance_norm import InstanceNorm2d
from frx_models.padding import padded
from frx_models.signed import from_signed, to_signed
from frx_models.spade import SpadeBlock
from frx_models.suppression import AdaptiveSuppression, LipSuppression, NoSuppression
from frx_models.xavier import convolution

Suppression = Literal["adaptive", "lip", "none"]

STAGES = 5
MULTIPLE_PX = 2**STAGES
# The stage whose features guide each SPADE block; 0 is the head, at full size.
GUIDING = (5, 4, 4, 3, 2, 1, 0)
SURE = 0.95  # atanh would be infinite at 1, and no gradient would come back from there
SUPPRESSIONS = {"adaptive": AdaptiveSuppression, "lip": LipSuppression, "none": NoSuppression}


class HiFaceGAN(nn.Module):
    """Suppresses damage in five stages and replenishes faces in seven SPADE blocks.

    `width` is the number of channels at full size. Each of the suppression stages halves the size
    and doubles the channels, up to 16 times `width`. Replenishing begins with the picture at one
    32nd of its size; each block sees, as its SPADE guide, what was let through at its own size.

    `suppression` is "adaptive", the paper's convolution gated by correlation, "lip", the pooling
    that its authors published, or "none", plain strided convolutions to compare with. With "lip"
    and `width` 64 it has 130,543,811 parameters, with 16 14,288,819.

    `predict` says what the last layer gives: "image", the whole picture, as in the paper; or
    "correction", what is added to the picture at one 32nd of its size, enlarged again. The norms
    take a picture's own brightness and colours out of all features, and "image" has to find them
    again at its borders, while "correction" starts from them.

    Takes [B, 3, H, W] in 0..1, of any size: padded to a multiple of 32, at least 64, and cropped
    back; layers see −1..1, and tanh keeps the result in 0..1. Only InstanceNorm is used, so each
    picture is restored by itself, in training as in evaluation. From arXiv 2005.05005, SPADE from
    arXiv 1903.07291.
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 64,
        suppression: Suppression = "adaptive",
        predict: Literal["image", "correction"] = "image",
    ) -> None:
        super().__init__()
        self.predict = predict
        channels = [width * min(2**stage, 16) for stage in range(STAGES + 1)]
        self.head = nn.Sequential(
            convolution(3, width, 3, bias=False), InstanceNorm2d(width), nn.ReLU()
        )
        self.stages = nn.ModuleList()
        for stage in range(STAGES):
            inputs, outputs = channels[stage], channels[stage + 1]
            layers = [SUPPRESSIONS[suppression](inputs, outputs), InstanceNorm2d(outputs)]
            if stage < STAGES - 1:  # the deepest guide keeps its sign
                layers.append(nn.ReLU())
            self.stages.append(nn.Sequential(*layers))
        self.start = convolution(3, channels[-1], 3)
        self.blocks = nn.ModuleList()
        inputs = channels[-1]
        for stage in GUIDING:
            self.blocks.append(SpadeBlock(inputs, channels[stage], channels[stage]))
            inputs = channels[stage]
        self.last = convolution(width, 3, 3)

    def forward(self, degraded: Tensor) -> Tensor:
        """Return the restored image, [B, 3, H, W]."""
        height, width = degraded.shape[-2:]
        x_B3HW = padded(to_signed(degraded), MULTIPLE_PX, least_px=2 * MULTIPLE_PX)
        guides = [self.head(x_B3HW)]
        for stage in self.stages:
            guides.append(stage(guides[-1]))
        coarse_B3hw = F.interpolate(x_B3HW, size=guides[-1].shape[-2:], mode="area")
        y = self.start(coarse_B3hw)
        for number, block in zip(GUIDING, self.blocks, strict=True):
            y = block(F.interpolate(y, size=guides[number].shape[-2:]), guides[number])
        # In float32 also under autocast: bfloat16 has fewer steps than a picture of 8 bits.
        drawn_B3HW = self.last(F.leaky_relu(y, 0.2)).float()
        if self.predict == "correction":
            coarse_B3hw = coarse_B3hw.float().clamp(-SURE, SURE).atanh()
            drawn_B3HW = drawn_B3HW + F.interpolate(
                coarse_B3hw, size=drawn_B3HW.shape[-2:], mode="bilinear"
            )
        return from_signed(drawn_B3HW[..., :height, :width].tanh())
