"""Five degradations in a chain, uint8 pictures in, float pairs out, beside what others would write.

Gaussian blur of σ 2, a quarter of the size by bicubic interpolation and back, Gaussian noise of σ
0.1, JPEG of a quality of 50 to 85, on one thread. Each candidate damages a batch of drawn portraits
[H, W, 3], fresh each time, to clean and degraded tensors in 0..1. Kornia's JPEG is differentiable;
it and its noise work on floating-point numbers, as all of the student's program but the JPEG does.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measuring import Row, paired
from frx.damage import damage
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.loader import to_device
from frx.randomness import generator
from frx_degradations.downsample import Downsample
from frx_degradations.gaussian_blur import GaussianBlur
from frx_degradations.gaussian_noise import GaussianNoise
from frx_degradations.jpeg import Jpeg

SIZES_PX = (128, 256, 512)
BATCH = 8
SIGMA_PX, SCALE, NOISE, QUALITY = 2.0, 0.25, 0.1, (50, 85)
KERNEL_PX = 13  # 3 σ to each side

AIMS = {"albumentations": "≥ 1.5", "student": "≥ 4", "torchvision v2": "≥ 4", "kornia": "≥ 8"}

Pictures = Sequence[NDArray[np.uint8]]
Pair = tuple[Tensor, Tensor]
Chain = Callable[[Pictures], Pair]


def rows() -> Iterator[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for size_px in SIZES_PX:
        faces = SyntheticFaces(size=size_px, count=BATCH)
        pictures = [faces[index]["clean"] for index in range(BATCH)]
        chains = {
            "frx": frx_chain(),
            "albumentations": albumentations_chain(),
            "student": student_chain,
            "torchvision v2": torchvision_chain(size_px),
            "kornia": kornia_chain(size_px),
        }
        calls = {name: partial(chain, pictures) for name, chain in chains.items()}
        measured = paired(calls, round_s=0.05)
        for peer, aim in AIMS.items():
            yield measured.times_better(f"chain, {size_px} px", peer, aim)


def frx_chain() -> Chain:
    """What frx.data does with the pictures of a batch."""
    degradations = [
        GaussianBlur(sigma_px=(SIGMA_PX, SIGMA_PX)),
        Downsample(scale=(SCALE, SCALE), interpolation="cubic"),
        GaussianNoise(sigma=(NOISE, NOISE)),
        Jpeg(quality=QUALITY),
    ]
    epochs = count()
    cpu = torch.device("cpu")

    def chain(pictures: Pictures) -> Pair:
        epoch = next(epochs)
        degraded = [
            damage(picture, degradations, generator(0, "degrade", epoch, f"face-{index:06}"))
            for index, picture in enumerate(pictures)
        ]
        clean_B3HW = to_device(torch.as_tensor(np.stack(pictures)), cpu)
        return clean_B3HW, to_device(torch.as_tensor(np.stack(degraded)), cpu)

    return chain


def albumentations_chain() -> Chain:
    import albumentations as A

    cubic = {"downscale": cv2.INTER_CUBIC, "upscale": cv2.INTER_CUBIC}
    degrade = A.Compose(
        [
            A.GaussianBlur((KERNEL_PX, KERNEL_PX), (SIGMA_PX, SIGMA_PX), p=1),
            A.Downscale((SCALE, SCALE), cubic, p=1),
            A.GaussNoise((NOISE, NOISE), p=1),
            A.ImageCompression("jpeg", QUALITY, p=1),
        ]
    )

    def as_tensor(picture: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(picture).permute(2, 0, 1).contiguous().float().div(255)

    def chain(pictures: Pictures) -> Pair:
        degraded = [degrade(image=picture)["image"] for picture in pictures]
        return torch.stack(list(map(as_tensor, pictures))), torch.stack(
            list(map(as_tensor, degraded))
        )

    return chain


def student_chain(pictures: Pictures) -> Pair:
    """PIL, ToTensor, and each image's degradations in torch."""
    from torchvision import transforms
    from torchvision.transforms import functional as TF

    to_tensor = transforms.ToTensor()
    pairs = []
    for picture in pictures:
        clean = to_tensor(Image.fromarray(picture))
        x = TF.gaussian_blur(clean, KERNEL_PX, SIGMA_PX)
        small = F.interpolate(x[None], scale_factor=SCALE, mode="bicubic")
        x = F.interpolate(small, size=clean.shape[1:], mode="bicubic")[0]
        x = (x + NOISE * torch.randn_like(x)).clamp(0, 1)
        file = io.BytesIO()
        quality = int(torch.randint(QUALITY[0], QUALITY[1] + 1, ()))
        TF.to_pil_image(x).save(file, "JPEG", quality=quality)
        pairs.append((clean, to_tensor(Image.open(file))))
    clean, degraded = zip(*pairs, strict=True)
    return torch.stack(clean), torch.stack(degraded)


def torchvision_chain(size_px: int) -> Chain:
    from torchvision.transforms import v2

    cubic = v2.InterpolationMode.BICUBIC
    to_image = v2.ToImage()
    to_float = v2.ToDtype(torch.float32, scale=True)
    degrade = v2.Compose(
        [
            v2.GaussianBlur(KERNEL_PX, SIGMA_PX),
            v2.Resize(round(SCALE * size_px), cubic, antialias=False),
            v2.Resize(size_px, cubic, antialias=False),
            v2.GaussianNoise(sigma=NOISE),
            v2.JPEG(QUALITY),
        ]
    )

    def chain(pictures: Pictures) -> Pair:
        clean = [to_image(picture) for picture in pictures]
        return torch.stack([to_float(image) for image in clean]), torch.stack(
            [to_float(degrade(image)) for image in clean]
        )

    return chain


def kornia_chain(size_px: int) -> Chain:
    from kornia import augmentation as K

    small_px = round(SCALE * size_px)
    degrade = K.AugmentationSequential(
        K.RandomGaussianBlur((KERNEL_PX, KERNEL_PX), (SIGMA_PX, SIGMA_PX), p=1),
        K.Resize((small_px, small_px), resample="bicubic", align_corners=False),
        K.Resize((size_px, size_px), resample="bicubic", align_corners=False),
        K.RandomGaussianNoise(std=NOISE, p=1),
        K.RandomJPEG(tuple(map(float, QUALITY)), p=1),
        data_keys=["input"],
    )

    def chain(pictures: Pictures) -> Pair:
        levels_BHW3 = torch.from_numpy(np.stack(pictures))
        clean_B3HW = levels_BHW3.permute(0, 3, 1, 2).contiguous().float().div(255)
        return clean_B3HW, degrade(clean_B3HW).clamp(0, 1)

    return chain
