"""A transposed convolution whose bias learns as fast as its weights do."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ConvTranspose2d(nn.ConvTranspose2d):
    """As torch's, the bias added afterwards.

    On a CPU the bias' gradient else takes more time than that of all weights.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return [B, O, H, W]."""
        if self.bias is None or output_size is not None:
            return super().forward(input, output_size)
        assert not isinstance(self.padding, str)  # of which only other convolutions know
        drawn_BOHW = F.conv_transpose2d(
            input,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
            dilation=self.dilation,
        )
        return drawn_BOHW + self.bias.to(drawn_BOHW.dtype)[:, None, None]
