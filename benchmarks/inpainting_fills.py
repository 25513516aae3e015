"""Score classical fills beside a trained network, on the same holes of the same photographs.

    python benchmarks/inpainting_fills.py runs/inpaint_gan [KEY=VALUE …]

Prints the means of the run's metrics over its test set, by region: of the pictures that the network
is given, of OpenCV's Telea and Navier-Stokes fills of the marked holes, of the network. Beside one
that finds the damage itself these fills are also scored with what it found instead of the marks. A
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

from frx.blind import finds_damage
from frx.data import Samples, open_sets
from frx.evaluate import score
from frx.grids import to_pixels
from frx.model_folder import Restorer
from frx.recipe import load
from frx.scores import NamedMetric

Picture = NDArray[np.uint8]
CPU = torch.device("cpu")
RADIUS_PX = 3
FILLS = {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}


def marked(batch: Mapping[str, Tensor]) -> Tensor:
    """The true mask."""
    return batch["mask"]


def filled(
    method: int, masks: Callable[[Mapping[str, Tensor]], Tensor] = marked
) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """OpenCV's fill of what `masks` gives for a batch."""

    def restore(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pictures = []
        for degraded, mask in zip(batch["degraded"], masks(batch), strict=True):
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
    restorer = Restorer.open(folder, CPU, recipe.precision)
    ways = {"given": lambda batch: {"image": batch["degraded"]}}
    ways |= {name: filled(method) for name, method in FILLS.items()}
    if finds_damage(restorer.module):
        for name, method in FILLS.items():
            ways[f"{name}, mask found"] = filled(method, lambda batch: restorer(batch)["found"])
    ways[recipe.name] = restorer
    print(f"{len(test)} pictures, {', '.join(f'{m.name}: {m.metric.protocol}' for m in metrics)}")
    for name, restore in ways.items():
        means = score(restore, samples, metrics, name, CPU).means("restored")
        print(f"{name:26}", *(f"{label} {value:.4g}" for label, value in means.items()), sep="   ")


if __name__ == "__main__":
    main()
