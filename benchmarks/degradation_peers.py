"""Other implementations of the degradations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch

from frx.data import Picture

Call = Callable[[], object]
FILTER2D = "cv2.filter2D"


def peers(picture: Picture) -> dict[str, dict[str, Call]]:
    """What does the same as each degradation, bound to a picture, by its name and the library's."""
    libraries = {
        "by hand": by_hand(picture),
        FILTER2D: filter2d(picture),
        "albumentations": albumentations(picture),
        "torchvision v2": torchvision(picture),
        "kornia": kornia(picture),
    }
    found: dict[str, dict[str, Call]] = {}
    for library, calls in libraries.items():
        for name, call in calls.items():
            found.setdefault(name, {})[library] = call
    return found


def by_hand(picture: Picture) -> dict[str, Call]:
    """OpenCV and numpy."""
    rng = np.random.default_rng(0)
    height, width = picture.shape[:2]
    side = min(height, width)

    def resized(way: int) -> Picture:
        scale = rng.uniform(0.25, 0.25)
        small = cv2.resize(picture, (int(scale * width), int(scale * height)), interpolation=way)
        return cv2.resize(small, (width, height), interpolation=way)

    def added(noise: Any) -> Picture:
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)

    def gaussian_noise() -> Picture:
        sigma = 255 * rng.uniform(0.1, 0.1)
        return added(rng.standard_normal(picture.shape, np.float32) * np.float32(sigma))

    def poisson_noise() -> Picture:
        counts = rng.poisson(rng.uniform(20, 20), picture.shape)
        return added(counts * rng.choice([-1, 1], picture.shape))

    def jpeg() -> Picture:
        quality = int(rng.integers(70, 71))
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        _, file = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def color_shift() -> Picture:
        levels = np.arange(256)
        hue, saturation, value = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
        saturation, value = (
            cv2.LUT(channel, np.clip(rng.uniform(by, by) * levels, 0, 255).astype(np.uint8))
            for channel, by in ((saturation, 0.5), (value, 0.8))
        )
        return cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB)

    def covered(mask: Picture) -> tuple[Picture, Picture]:
        noise = rng.integers(0, 256, picture.shape, dtype=np.uint8)
        return np.where(mask[..., None] > 0, noise, picture), mask

    def polygons() -> tuple[Picture, Picture]:
        mask = np.zeros((height, width), np.uint8)
        for _ in range(3):
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(6, 11)))
            arms = rng.uniform(0.3, 1, len(angles)) * rng.uniform(80, 200) * side / 512 / 2
            corners = np.stack([arms * np.cos(angles), arms * np.sin(angles)], 1)
            cv2.fillPoly(mask, [(corners + rng.uniform(0, side, 2)).astype(np.int32)], 255)
        return covered(mask)

    def shapes() -> tuple[Picture, Picture]:
        mask = np.zeros((height, width), np.uint8)
        for _ in range(3):
            x, y = map(int, rng.integers(0, side, 2))
            reach = int(rng.uniform(0.05, 0.25) * side / 2)
            if rng.random() < 0.5:
                cv2.rectangle(mask, (x - reach, y - reach), (x + reach, y + reach), 255, -1)
            else:
                cv2.circle(mask, (x, y), reach, 255, -1)
        return covered(mask)

    def square_hole() -> tuple[Picture, Picture]:
        damaged, mask = picture.copy(), np.zeros((height, width), np.uint8)
        top, left = rng.integers(16, height - 47), rng.integers(16, width - 47)
        damaged[top : top + 32, left : left + 32] = 128
        mask[top : top + 32, left : left + 32] = 255
        return damaged, mask

    def brush_hole() -> tuple[Picture, Picture]:
        mask = np.zeros((height, width), np.uint8)
        for _ in range(2):
            x, y = rng.uniform(0, width - 1), rng.uniform(0, height - 1)
            vertices, heading = [(int(x), int(y))], rng.uniform(0, 2 * np.pi)
            thickness = int(rng.uniform(0.05, 0.15) * side)
            for turn in range(7):
                length = rng.uniform(0.05, 0.3) * side
                x = np.clip(x + length * np.cos(heading), 0, width - 1)
                y = np.clip(y + length * np.sin(heading), 0, height - 1)
                vertices.append((int(x), int(y)))
                heading += (-1) ** turn * np.radians(rng.uniform(90, 180))
            for start, end in pairwise(vertices):
                cv2.line(mask, start, end, 255, thickness)
        damaged = picture.copy()
        damaged[mask > 0] = 128
        return damaged, mask

    return {
        "gaussian_blur, σ 2": lambda: cv2.GaussianBlur(picture, (13, 13), rng.uniform(2, 2)),
        "median_blur, 3 px": lambda: cv2.medianBlur(picture, 2 * int(rng.integers(1, 2)) + 1),
        "median_blur, 7 px": lambda: cv2.medianBlur(picture, 2 * int(rng.integers(3, 4)) + 1),
        "downsample, bilinear": lambda: resized(cv2.INTER_LINEAR),
        "downsample, cubic": lambda: resized(cv2.INTER_CUBIC),
        "gaussian_noise": gaussian_noise,
        "laplacian_noise": lambda: added(rng.laplace(0, 255 * 0.1, picture.shape)),
        "poisson_noise": poisson_noise,
        "jpeg": jpeg,
        "color_shift": color_shift,
        "polygons": polygons,
        "shapes": shapes,
        "square_hole": square_hole,
        "brush_hole": brush_hole,
    }


def filter2d(picture: Picture) -> dict[str, Call]:
    """OpenCV's general filter, with a line of weights."""
    rng = np.random.default_rng(0)

    def along(length: int, angle: float) -> Picture:
        line = np.zeros((length, length), np.uint8)
        reach = (length // 2) * np.array([np.cos(angle), np.sin(angle)])
        start, end = (np.rint(length // 2 + way * reach).astype(int).tolist() for way in (-1, 1))
        cv2.line(line, start, end, 1)
        return cv2.filter2D(picture, -1, (line / line.sum()).astype(np.float32))

    def diagonal(length: int) -> Picture:
        return cv2.filter2D(picture, -1, np.eye(length, dtype=np.float32) / length)

    return {
        "motion_blur, 9 px": lambda: diagonal(9),
        "motion_blur, 15 px": lambda: diagonal(15),
        "motion_blur, 15 px, any angle": lambda: along(15, rng.uniform(0, np.pi)),
    }


def albumentations(picture: Picture) -> dict[str, Call]:
    import albumentations as A

    def motion(length: int, *angles: float) -> A.BasicTransform:
        return A.MotionBlur((length, length), False, angles, (0, 0), p=1)

    def downscale(way: int) -> A.BasicTransform:
        return A.Downscale((0.25, 0.25), {"downscale": way, "upscale": way}, p=1)

    laplace = {"mean_range": (0, 0), "scale_range": (0.1, 0.1)}
    hole = 32 / min(picture.shape[:2])
    transforms = {
        "gaussian_blur, σ 2": A.GaussianBlur((13, 13), (2, 2), p=1),
        "median_blur, 3 px": A.MedianBlur((3, 3), p=1),
        "median_blur, 7 px": A.MedianBlur((7, 7), p=1),
        "motion_blur, 9 px": motion(9, 45, 45),
        "motion_blur, 15 px": motion(15, 45, 45),
        "motion_blur, 15 px, any angle": motion(15, 0, 180),
        "downsample, bilinear": downscale(cv2.INTER_LINEAR),
        "downsample, cubic": downscale(cv2.INTER_CUBIC),
        "gaussian_noise": A.GaussNoise((0.1, 0.1), p=1),
        "laplacian_noise": A.AdditiveNoise("laplace", "per_pixel", laplace, p=1),
        "color_shift": A.HueSaturationValue((0, 0), (-50, -50), (-30, -30), p=1),
        "square_hole": A.CoarseDropout((1, 1), (hole, hole), (hole, hole), fill=128, p=1),
    }
    return {name: _on(transform, picture) for name, transform in transforms.items()}


def _on(transform: Any, picture: Picture) -> Call:
    return lambda: transform(image=picture)["image"]


def torchvision(picture: Picture) -> dict[str, Call]:
    from torchvision.transforms import v2

    height, width = picture.shape[:2]
    levels_3HW = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
    ways = {"bilinear": v2.InterpolationMode.BILINEAR, "cubic": v2.InterpolationMode.BICUBIC}
    hole = 32 * 32 / (height * width)
    transforms = {
        "gaussian_blur, σ 2": v2.GaussianBlur(13, (2, 2)),
        "gaussian_noise": v2.GaussianNoise(sigma=0.1),
        "jpeg": v2.JPEG((70, 70)),
        "square_hole": v2.RandomErasing(1, (hole, hole), (1, 1), 128),
    } | {
        f"downsample, {name}": v2.Compose(
            [
                v2.Resize((height // 4, width // 4), way, antialias=False),
                v2.Resize((height, width), way, antialias=False),
            ]
        )
        for name, way in ways.items()
    }
    return {name: _of(transform, levels_3HW) for name, transform in transforms.items()}


def kornia(picture: Picture) -> dict[str, Call]:
    from kornia import augmentation as K

    image_13HW = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous() / 255
    transforms = {
        "gaussian_blur, σ 2": K.RandomGaussianBlur((13, 13), (2.0, 2.0), p=1),
        "median_blur, 3 px": K.RandomMedianBlur((3, 3), p=1),
        "motion_blur, 9 px": K.RandomMotionBlur(9, (45.0, 45.0), (0.0, 0.0), p=1),
        "motion_blur, 15 px": K.RandomMotionBlur(15, (45.0, 45.0), (0.0, 0.0), p=1),
        "motion_blur, 15 px, any angle": K.RandomMotionBlur(15, (0.0, 180.0), (0.0, 0.0), p=1),
        "gaussian_noise": K.RandomGaussianNoise(std=0.1, p=1),
        "jpeg": K.RandomJPEG((70.0, 70.0), p=1),
    }
    return {name: _of(transform, image_13HW) for name, transform in transforms.items()}


def _of(transform: Any, image: torch.Tensor) -> Call:
    return lambda: transform(image)
