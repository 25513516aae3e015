"""Each degradation beside the fastest other implementation of it, on one thread.

Strengths are fixed, so that all rounds do the same work. Libraries get pictures in the form that is
theirs: frx, albumentations and programs by hand uint8 [H, W, 3], torchvision uint8 tensors where it
takes them, kornia float32 batches. By hand means OpenCV and numpy on uint8, as it is done with
little thought for speed. Where peers do not do the same:

* colour: albumentations shifts saturation and value instead of scaling them; it and the hand round
  HSV to 8 bits. What blends with the picture's grey, as torchvision does, is another operation;
* JPEG: albumentations takes RGB for BGR, and so codes other colours; it is left out;
* Poisson noise up and down, polygons, shapes with masks and brush strokes are nobody's but the
  hand's; brush strokes by hand stop at no share of the picture;
* a square hole: torchvision's and albumentations' have no margin, and no mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import cv2
import torch

from benchmarks import degradation_peers as peers
from benchmarks.measuring import Row, paired
from frx.data import Picture
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.randomness import generator
from frx.specs import Degradation
from frx_degradations.brush_hole import BrushHole
from frx_degradations.color_shift import ColorShift
from frx_degradations.downsample import Downsample
from frx_degradations.gaussian_blur import GaussianBlur
from frx_degradations.gaussian_noise import GaussianNoise
from frx_degradations.jpeg import Jpeg
from frx_degradations.laplacian_noise import LaplacianNoise
from frx_degradations.median_blur import MedianBlur
from frx_degradations.motion_blur import MotionBlur
from frx_degradations.poisson_noise import PoissonNoise
from frx_degradations.polygons import Polygons
from frx_degradations.shapes import Shapes
from frx_degradations.square_hole import SquareHole

SIZES_PX = (128, 256, 512)
DEGRADATIONS: Mapping[str, Degradation] = {
    "gaussian_blur, σ 2": GaussianBlur(sigma_px=(2, 2)),
    "median_blur, 3 px": MedianBlur(size_px=(3, 3)),
    "median_blur, 7 px": MedianBlur(size_px=(7, 7)),
    "motion_blur, 9 px": MotionBlur(length_px=(9, 9), directions=["diagonal"]),
    "motion_blur, 15 px": MotionBlur(length_px=(15, 15), directions=["diagonal"]),
    "motion_blur, 15 px, any angle": MotionBlur(length_px=(15, 15), directions="any"),
    "downsample, bilinear": Downsample(scale=(0.25, 0.25)),
    "downsample, cubic": Downsample(scale=(0.25, 0.25), interpolation="cubic"),
    "gaussian_noise": GaussianNoise(sigma=(0.1, 0.1)),
    "laplacian_noise": LaplacianNoise(scale=(0.1, 0.1)),
    "poisson_noise": PoissonNoise(rate=(20, 20)),
    "jpeg": Jpeg(quality=(70, 70)),
    "color_shift": ColorShift(saturation=(0.5, 0.5), value=(0.8, 0.8)),
    "polygons": Polygons(fills=["noise"]),
    "shapes": Shapes(count=(3, 3), fills=["noise"]),
    "square_hole": SquareHole(size_px=32),
    "brush_hole": BrushHole(strokes=(2, 2), vertices=(8, 8)),
}
ABOVE_ONE = "≥ 1"


def rows() -> Iterator[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for size_px in SIZES_PX:
        picture = SyntheticFaces(size=size_px, count=1)[0]["clean"]
        others = peers.peers(picture)
        for name, degradation in DEGRADATIONS.items():
            calls = others[name]
            fastest = paired(calls, rounds=5, round_s=0.01).fastest(*calls)
            # By themselves, as what libraries leave of the caches and of memory hits who is next.
            pair = {"frx": bound(degradation, picture), fastest: calls[fastest]}
            row = f"{name}, {size_px} px"
            yield paired(pair, round_s=0.03).times_better(row, fastest, ABOVE_ONE)
            if name == "motion_blur, 15 px":
                pair = {"frx": pair["frx"], peers.FILTER2D: calls[peers.FILTER2D]}
                yield paired(pair, round_s=0.03).times_better(row, peers.FILTER2D, "≥ 30")


def bound(degradation: Degradation, picture: Picture) -> Callable[[], object]:
    rng = generator(0, "degrade")
    return lambda: degradation(picture, rng)
