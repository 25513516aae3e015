"""Score classical fills beside a trained network, on the same holes of the same photographs.

    python benchmarks/inpainting_fills.py runs/inpaint_gan [KEY=VALUE …]

Prints mean PSNR and SSIM inside the holes and over whole pictures, on the run's test set: of the
grey fill that the network is given, of OpenCV's Telea and Navier-Stokes fills, of the network. A
key changes the run's recipe, such as degradations.square_hole.count=1.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frx.data import Samples, open_sets
from frx.evaluate import NamedMetric, score
from frx.grids import to_pixels
from frx.model_folder import Restorer
from frx.recipe import load

Picture = NDArray[np.uint8]
CPU = torch.device("cpu")
RADIUS_PX = 3


def filled(method: int) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """OpenCV's fill of a batch's holes."""

    def restore(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pictures = []
        for degraded, mask in zip(batch["degraded"], batch["mask"], strict=True):
            hole = (mask[0] * 255).byte().numpy()
            picture = cv2.inpaint(to_pixels(degraded), hole, RADIUS_PX, method)
            pictures.append(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
        return {"image": torch.stack(pictures)}

    return restore


def main() -> None:
    folder = Path(sys.argv[1])
    recipe = load(folder / "recipe.toml", overrides=sys.argv[2:])
    test = open_sets(recipe, lambda use: use.build())["test"]
    samples = Samples(test, recipe.seed, [use.build() for use in recipe.degradations])
    metrics = NamedMetric.build(recipe.metrics, CPU)
    ways = {
        "grey": lambda batch: {"image": batch["degraded"]},
        "Telea": filled(cv2.INPAINT_TELEA),
        "Navier-Stokes": filled(cv2.INPAINT_NS),
        recipe.name: Restorer.open(folder, CPU, recipe.precision),
    }
    print(f"{len(test)} pictures, {', '.join(f'{m.name}: {m.metric.protocol}' for m in metrics)}")
    for name, restore in ways.items():
        means = score(restore, samples, metrics, name, CPU).means("restored")
        print(f"{name:14}", *(f"{label} {value:.4g}" for label, value in means.items()), sep="   ")


if __name__ == "__main__":
    main()
