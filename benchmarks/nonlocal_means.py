"""Score OpenCV's non-local means on a damaged set that `frx degrade` wrote.

    frx degrade photos/ -o set --recipe recipes/unet_faces_noise.toml
    python benchmarks/nonlocal_means.py set

Prints the input's mean PSNR and SSIM and those of fastNlMeansDenoisingColored at several strengths:
the best of them, chosen with the clean pictures at hand, is more than anybody gets in practice.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from frx.images import read_rgb
from frx_metrics.psnr import PSNR
from frx_metrics.ssim import SSIM

STRENGTHS = (3, 10, 20, 40, 60, 80)
Picture = NDArray[np.uint8]


def scores(pairs: list[tuple[Picture, Picture]], restore: Callable[[Picture], Picture]) -> str:
    """Mean PSNR and SSIM of `restore` over (clean, corrupted) pairs."""
    metrics = (PSNR(), SSIM())
    found = []
    for clean, corrupted in pairs:
        one, two = (
            torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
            for picture in (restore(corrupted), clean)
        )
        found.append([metric(one, two).item() for metric in metrics])
    psnr, ssim = np.mean(found, axis=0)
    return f"{psnr:6.2f} dB   SSIM {ssim:.3f}"


def main() -> None:
    folder = Path(sys.argv[1])
    pairs = [
        (read_rgb(folder / "clean" / path.relative_to(folder / "corrupted")), read_rgb(path))
        for path in sorted((folder / "corrupted").rglob("*.png"))
    ]
    print(f"{len(pairs)} pictures\ninput          {scores(pairs, lambda picture: picture)}")
    for strength in STRENGTHS:

        def denoise(picture: Picture, h: int = strength) -> Picture:
            return np.asarray(cv2.fastNlMeansDenoisingColored(picture, None, h, h, 7, 21))

        print(f"h = {strength:2}         {scores(pairs, denoise)}")


if __name__ == "__main__":
    main()
