import torch
from torch import Tensor


class Banding:
    """Amplitude of the strongest stripes left in a picture, in levels of 255."""

    higher_is_better = False
    protocol = "RGB, 0..255, largest in the spectrum of the difference, mean over channels, images"

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(255 * (restored - clean).float(), norm="forward").abs()
        spectrum[..., 0, 0] = 0  # a difference of all pixels alike is no stripe
        return 2 * spectrum.amax(dim=(2, 3)).mean(dim=1)
