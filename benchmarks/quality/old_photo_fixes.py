"""Score classical fixes beside a trained network, one kind of old-photo damage at a time.

    python benchmarks/quality/old_photo_fixes.py runs/old_photo_gan

Prints mean PSNR and SSIM on the run's test set for each kind: of the damaged input, of a classical
method that is told what happened, and of the network, which is not. Noise: non-local means at the
strength of this noise. Faded colours: the mean change undone. Torn pieces: Telea's fill, given the
true mask.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from frx.baselines.non_local_means import NonLocalMeans
from frx.baselines.telea import Telea
from frx.data import Samples, open_sets
from frx.degrading import chains
from frx.model_folder import Restorer
from frx.recipe import load
from frx.scoring.classical import NamedBaseline
from frx.scoring.evaluate import score
from frx.scoring.scores import NamedMetric

CPU = torch.device("cpu")


def recoloured(degraded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Saturation and value divided by the means of what was drawn, 0.5 and 0.9."""
    hsv = cv2.cvtColor(degraded.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 1:] = np.clip(hsv[..., 1:] / (0.5, 0.9), 0, 1)
    return np.asarray(np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)), np.uint8)


CLASSICAL = {
    "noisy": NamedBaseline("non-local means", NonLocalMeans(strength=20), {}),
    "color": NamedBaseline("mean change undone", recoloured, {}),
    "occluded": NamedBaseline("Telea, true mask", Telea(), {}),
}


def main() -> None:
    folder = Path(sys.argv[1])
    recipe = load(folder / "recipe.toml")
    test = open_sets(recipe, lambda use: use.build())["test"]
    metrics = NamedMetric.build(recipe.metrics, CPU)
    network = Restorer.open(folder, CPU, recipe.compute)
    print(f"{len(test)} pictures")
    for kind, chain in chains(recipe).items():
        classical = CLASSICAL[kind]
        samples = Samples(test, recipe.seed, chain)
        scores = score(network, samples, metrics, kind, CPU, baselines=[classical])
        for what in ("input", classical.name, "restored"):
            numbers = (f"{label} {value:.4g}" for label, value in scores.means(what).items())
            print(f"{kind:9}{what:19}", *numbers, sep="   ")


if __name__ == "__main__":
    main()
