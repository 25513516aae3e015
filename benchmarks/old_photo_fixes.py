"""Score classical fixes beside a trained network, one kind of old-photo damage at a time.

    python benchmarks/old_photo_fixes.py runs/old_photo_gan

Prints mean PSNR and SSIM on the run's test set for each kind: of the damaged input, of a classical
method that is told what happened, and of the network, which is not. Noise: OpenCV's non-local means
at the strength of this noise. Faded colours: the mean change undone. Torn pieces: OpenCV's Telea
fill, given the true mask.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from inpainting_fills import CPU, Picture, filled
from torch import Tensor

from frx.data import Samples, open_sets
from frx.degrading import chains
from frx.evaluate import score
from frx.grids import to_pixels
from frx.model_folder import Restorer
from frx.recipe import load
from frx.scores import NamedMetric

Restore = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


def each(fix: Callable[[Picture], Picture]) -> Restore:
    """Apply `fix` to every picture of a batch."""

    def restore(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pictures = [fix(to_pixels(degraded)) for degraded in batch["degraded"]]
        return {"image": torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255}

    return restore


def denoised(picture: Picture) -> Picture:
    """Non-local means at the strength that suits a deviation of 25 of 255."""
    return np.asarray(cv2.fastNlMeansDenoisingColored(picture, None, 20, 20, 7, 21), np.uint8)


def recoloured(picture: Picture) -> Picture:
    """Saturation and value divided by the means of what was drawn, 0.5 and 0.9."""
    hsv = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 1:] = np.clip(hsv[..., 1:] / (0.5, 0.9), 0, 1)
    return np.asarray(np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)), np.uint8)


CLASSICAL = {
    "noisy": ("non-local means", each(denoised)),
    "color": ("mean change undone", each(recoloured)),
    "occluded": ("Telea, true mask", filled(cv2.INPAINT_TELEA)),
}


def main() -> None:
    folder = Path(sys.argv[1])
    recipe = load(folder / "recipe.toml")
    test = open_sets(recipe, lambda use: use.build())["test"]
    metrics = NamedMetric.build(recipe.metrics, CPU)
    network = Restorer.open(folder, CPU, recipe.precision)
    print(f"{len(test)} pictures")
    for kind, chain in chains(recipe).items():
        samples = Samples(test, recipe.seed, chain)
        classical, fix = CLASSICAL[kind]
        ways: dict[str, Restore] = {
            "input": lambda batch: {"image": batch["degraded"]},
            classical: fix,
            recipe.name: network,
        }
        for name, restore in ways.items():
            means = score(restore, samples, metrics, name, CPU).means("restored")
            numbers = (f"{label} {value:.4g}" for label, value in means.items())
            print(f"{kind:9}{name:19}", *numbers, sep="   ")


if __name__ == "__main__":
    main()
