"""Score a run's network on large faces that it sees at several sizes.

    python benchmarks/quality/face_sizes.py RUN faces/ 512 [KEY=VALUE …]

`faces/` has clean, aligned faces; those that the run tested, by name, are brought to 512 pixels,
damaged there as its recipe says, reduced to each size, restored, and enlarged again. Prints the
means of the run's metrics over whole pictures. A key changes the run's recipe, such as
'metrics=[{use="identity_distance"}]'.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frx import images
from frx.comparing import scored
from frx.data import Samples, open_whole
from frx.grids import to_pixels
from frx.loader import to_device
from frx.model_folder import Restorer
from frx.recipe import load
from frx.scoring.evaluate import score
from frx.scoring.scores import NamedMetric

CPU = torch.device("cpu")
Restore = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def seen_at(restorer: Restorer, size: int) -> Restore:
    """The network, shown each picture at `size` pixels."""

    def resized(pictures: Tensor, size: int) -> Tensor:
        made = [images.resize(to_pixels(picture), size, size) for picture in pictures]
        return to_device(torch.from_numpy(np.stack(made)), CPU)

    def restore(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        small = {"degraded": resized(batch["degraded"], size)}
        return {"image": resized(restorer(small)["image"], batch["degraded"].shape[-1])}

    return restore


def main() -> None:
    run, folder, largest = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    faces = ("data.use=folder", f"data.path={folder}", f"data.size={largest}")
    recipe = load(run / "recipe.toml", overrides=(*sys.argv[4:], *faces))
    every = open_whole(recipe.data, lambda use: use.build())
    tested = {
        Path(name).stem for names in scored.read(run)["test"].values.values() for name in names
    }
    chosen = [i for i in every.indices if Path(every.dataset.name(i)).stem in tested]
    samples = Samples(
        type(every)(every.dataset, np.array(chosen)),
        recipe.seed,
        [use.build() for use in recipe.degradations],
    )
    metrics = NamedMetric.build(recipe.metrics, CPU)
    restorer = Restorer.open(run, CPU, recipe.compute)
    print(f"{len(chosen)} faces of {largest} px")
    size = restorer.size or largest
    while size <= largest:
        scores = score(seen_at(restorer, size), samples, metrics, f"{size} px", CPU)
        for what in ("input", "restored"):
            numbers = (f"{name} {value:.4g}" for name, value in scores.means(what).items())
            print(f"{size:4} px {what:9}", *numbers, sep="   ")
        size *= 2


if __name__ == "__main__":
    main()
