"""Restoring faces as one would write it from its description, with PIL and torchvision.

The same network, damage, augmentations and batches as `recipes/unet_faces.toml`; each picture is
opened, varied and damaged by itself, by a `Dataset` whose `DataLoader` is left as it is.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class FaceDataset(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of a damaged and a clean face."""

    def __init__(self, folder: Path, size: int, crop: int) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        self.transform = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.CenterCrop(size),
                transforms.RandomHorizontalFlip(0.3),
                transforms.RandomRotation(7, transforms.InterpolationMode.BILINEAR),
                transforms.RandomCrop(crop),
                transforms.ColorJitter(0.2, 0.2, 0.2, 0.02),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        clean = self.transform(Image.open(self.paths[index]).convert("RGB"))
        return degrade(clean), clean


def degrade(image: Tensor) -> Tensor:
    """Noise, low resolution or motion blur."""
    return random.choice([add_noise, downsample, motion_blur])(image)


def add_noise(image: Tensor) -> Tensor:
    sigma = random.uniform(0.2, 0.5)
    return (image + sigma * torch.randn_like(image)).clamp(0, 1)


def downsample(image: Tensor) -> Tensor:
    factor = random.choice([1.2, 1.4])
    height, width = image.shape[-2:]
    small = (round(height / factor), round(width / factor))
    down = F.interpolate(image[None], size=small, mode="bilinear", align_corners=False)
    return F.interpolate(down, size=(height, width), mode="bilinear", align_corners=False)[0]


def motion_blur(image: Tensor) -> Tensor:
    length = random.choice(range(5, 16, 2))
    kernel = torch.zeros(length, length)
    direction = random.choice(["horizontal", "vertical", "diagonal", "antidiagonal"])
    if direction == "horizontal":
        kernel[length // 2] = 1
    elif direction == "vertical":
        kernel[:, length // 2] = 1
    else:
        kernel = torch.eye(length)
    if direction == "antidiagonal":
        kernel = kernel.flip(1)
    weight = (kernel / kernel.sum()).expand(3, 1, length, length)
    padded = F.pad(image[None], [length // 2] * 4, mode="reflect")
    return F.conv2d(padded, weight, groups=3)[0]


class UNet(nn.Module):
    """3 → 64 → 64, 128 → 128 at half the size, back up with a skip connection, and a correction."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
        )
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.decoder = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        full = self.encoder(x)
        up = self.up(self.bottleneck(self.pool(full)))
        correction: Tensor = self.decoder(torch.cat([up, full], dim=1))
        return x + correction


class Training:
    """The program's loop over epochs, to be gone through step by step."""

    def __init__(self, folder: Path, size: int, crop: int, batch_size: int) -> None:
        dataset = FaceDataset(folder, size, crop)
        self.loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True)
        self.model = UNet()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)

    def epoch(self) -> None:
        """Train on every face once."""
        self.model.train()
        for degraded, clean in self.loader:
            self.optimizer.zero_grad()
            loss = F.l1_loss(self.model(degraded), clean)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
