"""How the costs of training grow, as a plot.

    python -m benchmarks.growth docs/performance.png

With the size of the pictures, with the batch, with the number of workers, and with the number of
files in a folder. Points are medians of several rounds.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import machine, paired
from benchmarks.workers import CPU, Training, samples
from frx import images
from frx.cores import cores
from frx.damage import damage
from frx.datasets.folder import Folder
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.loader import Loader
from frx.progress import track
from frx.randomness import generator
from frx_degradations.downsample import Downsample
from frx_degradations.gaussian_blur import GaussianBlur
from frx_degradations.gaussian_noise import GaussianNoise
from frx_degradations.jpeg import Jpeg

SIZES_PX, BATCHES, WORKERS = (64, 96, 128, 192, 256, 384, 512), (1, 2, 4, 8, 16, 32), (0, 1, 2, 4)
FILES = (300, 3_000, 30_000, 300_000)
MOST_LINKS = 10_000  # to one file, so that every file system takes them
CHAIN = [GaussianBlur(), Downsample(), GaussianNoise(), Jpeg()]

Curve = list[tuple[float, float]]


def by_size(folder: Path) -> dict[str, Curve]:
    """Milliseconds an image of so many pixels a side takes: its training, its damage, its file."""
    curves: dict[str, Curve] = {
        "training step, U-Net": [],
        "blur, downsampling, noise, JPEG": [],
        "reading a JPEG file": [],
    }
    for size in track(SIZES_PX, label="size", unit="sizes"):
        batch = max(1, 8 * 128**2 // size**2)
        training = Training(batch, size)
        clean = SyntheticFaces(count=1, size=size)[0]["clean"]
        file = folder / f"{size}.jpg"
        images.write(file, clean)
        calls: Iterable[Callable[[], object]] = (
            lambda: training.step(training.ready),  # noqa: B023 - called within this turn
            lambda: damage(clean, CHAIN, generator(7, size)),  # noqa: B023
            lambda: images.read_rgb(file),  # noqa: B023
        )
        measured = paired(dict(zip(curves, calls, strict=True)), rounds=5)
        for name, curve in curves.items():
            images_a_call = batch if name.startswith("training") else 1
            curve.append((size, 1000 * measured.median(name) / images_a_call))
    return curves


def by_batch() -> dict[str, Curve]:
    """Milliseconds an image takes in a training step of so many."""
    curve: Curve = []
    for size in track(BATCHES, label="batch", unit="sizes"):
        training = Training(size, 128)
        measured = paired({"step": lambda: training.step(training.ready)}, rounds=5)  # noqa: B023
        curve.append((size, 1000 * measured.median("step") / size))
    return {"training step, U-Net, 128 px": curve}


def by_workers(folder: Path) -> dict[str, Curve]:
    """Images a second with so many workers that decode 512 px files: data alone, and training."""
    place = folder / "faces"
    place.mkdir()
    drawn = SyntheticFaces(count=64, size=512)
    for number in range(len(drawn)):
        images.write(place / f"{number}.jpg", drawn[number]["clean"])
    faces = Folder(path=str(place), size=128)
    many = np.tile(np.arange(len(faces)), 16)
    training = Training(8, 128)
    curves: dict[str, Curve] = {"batches alone": [], "training, U-Net, 128 px": []}
    for workers in track(WORKERS, label="workers", unit="numbers"):
        loader = Loader(samples(faces, workers), CPU)

        def alone(loader: Loader = loader) -> float:
            started = time.perf_counter()
            for _ in loader.batches(many, 8, epoch=0):
                pass
            return len(many) / (time.perf_counter() - started)

        rates = [alone() for _ in range(3)]
        curves["batches alone"].append((workers, statistics.median(rates)))
        rates = [len(faces) / training.fed_by(loader) for _ in range(3)]
        curves["training, U-Net, 128 px"].append((workers, statistics.median(rates)))
    return curves


def by_files(folder: Path) -> dict[str, Curve]:
    """Seconds to open a folder of so many pictures for the first time, and again."""
    curves: dict[str, Curve] = {"for the first time": [], "again": []}
    os.environ["FRX_CACHE"] = str(folder / "cache")
    for count in track(FILES, label="files", unit="folders"):
        place = folder / f"files-{count}"
        place.mkdir()
        for number in range(count):
            source = folder / f"source-{count}-{number // MOST_LINKS}.jpg"
            if not source.exists():
                images.write(source, np.zeros((16, 16, 3), np.uint8))
            os.link(source, place / f"{number:06}.jpg")
        for name in curves:
            time.sleep(2.5)  # within a file system's clock's grain an index is not trusted
            started = time.perf_counter()
            assert len(Folder(path=str(place), size=16)) == count
            curves[name].append((count, time.perf_counter() - started))
    return curves


def draw(panels: dict[tuple[str, str], dict[str, Curve]], out: Path) -> None:
    """One panel each, by what is on its axes; both axes logarithmic but for a few workers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.4), dpi=100)
    for number, ((across, up), curves) in enumerate(panels.items(), start=1):
        panel = figure.add_subplot(2, 2, number)
        for name, curve in curves.items():
            x, y = zip(*curve, strict=True)
            panel.plot(x, y, marker="o", markersize=4, label=name)
        panel.set_yscale("log")
        if across != "workers":
            panel.set_xscale("log", base=2 if max(x) < 1000 else 10)
        panel.set_xticks(x, [f"{value:,}" for value in x])
        panel.minorticks_off()
        panel.set_xlabel(across)
        panel.set_ylabel(up)
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small", frameon=False)
    figure.suptitle(machine(), fontsize="small", color="0.4")
    figure.tight_layout()
    figure.savefig(out)


def main() -> None:
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        panels = {
            ("picture, pixels a side", "ms an image"): by_size(folder),
            ("pictures a batch", "ms an image"): by_batch(),
            ("workers", "images a second"): by_workers(folder),
            ("files in the folder", "seconds to open it"): by_files(folder),
        }
    for (across, up), curves in panels.items():
        for label, curve in curves.items():
            print(f"{up} over {across}: {label}", *(f"{x:g}: {y:.3g}" for x, y in curve), sep="   ")
    draw(panels, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
