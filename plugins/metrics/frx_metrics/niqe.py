"""The metric `niqe`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from frx.download import sha256_of
from frx.errors import DataError
from frx.weights import locate

BLOCK_PX = 96
FEATURES = 36  # 18 at each of two scales
# Less is a rounding error: these stay below 1e-12, and a single level next to a flat area makes
# 1e-4, at half the size 1e-8.
NOTHING = 1e-10
# The antialiased bicubic kernel (a = −1/2) at −7/4, −5/4, …, 7/4 pixels of the half size.
HALVING = torch.tensor([-3, -9, 29, 111, 111, 29, -9, -3], dtype=torch.float64) / 256
WINDOW = torch.softmax(-((torch.arange(7, dtype=torch.float64) - 3) * 6 / 7).square() / 2, dim=0)
ALPHAS = torch.arange(200, 10_001, dtype=torch.float64) / 1000


class NIQE:
    """Distance from the statistics of undistorted photographs; lower is better.

    Mittal, Soundararajan, Bovik: Making a "completely blind" image quality analyzer, IEEE Signal
    Processing Letters 20 (3), 2013, 10.1109/LSP.2012.2227726. Sees the restored picture alone, so
    it does not know whether that still shows what it ought to. `weights`: a path, a known name, or
    None for the authors' own model of photographs, the known file "niqe".

    Computed on the CPU in float64 from the picture as it would be saved, in 8 bits, without what
    the last whole block of 96 × 96 leaves over at the right and below. BasicSR 1.4.2, in float32,
    has the same score within a relative 1e-3. Made to compute in float64 it agrees within 1e-6, but
    for pictures with areas of one exact colour: there it counts rounding errors as contrast, which
    here is 0. A picture with fewer than two blocks of any texture scores NaN.
    """

    higher_is_better: ClassVar[bool] = False
    smallest_px: ClassVar[int] = 2 * BLOCK_PX

    def __init__(self, *, weights: str | None = None) -> None:
        path = locate(weights or "niqe")
        self.mean, self.covariance = _pristine(path)
        self.protocol = (
            "no reference, 8-bit RGB, BT.601 luma 16…235 rounded, blocks of 96 px at 2 scales, "
            f"model of photographs with sha256 {sha256_of(path)[:12]}, mean over images"
        )

    @torch.no_grad()
    def __call__(self, restored: Tensor) -> Tensor:
        """Return [B] for [B, 3, H, W].

        Raises:
            ValueError: there is no room for two blocks.
        """
        height, width = restored.shape[2:]
        if (height // BLOCK_PX) * (width // BLOCK_PX) < 2:
            raise ValueError(
                f"a picture needs room for two blocks of {BLOCK_PX} × {BLOCK_PX} pixels, and here "
                f"is one of {width} × {height}; leave the metric out"
            )
        pixels = restored.float().clamp(0, 1).mul(255).round().cpu().double()
        red, green, blue = pixels.unbind(dim=1)
        lumas = (16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255).round()
        scores = [self._distance(features(luma)) for luma in lumas]
        return torch.tensor(scores, dtype=torch.float32, device=restored.device)

    def _distance(self, found: Tensor) -> float:
        """How far the features [N, 36] of a picture's blocks lie from those of photographs."""
        whole = found[found.isfinite().all(dim=1)]
        if len(whole) < 2:
            return math.nan
        away = self.mean - found.nanmean(dim=0)
        shared = torch.linalg.pinv((self.covariance + whole.T.cov()) / 2)
        return math.sqrt(max(0.0, float(away @ shared @ away)))


def features(luma: Tensor) -> Tensor:
    """Return the features [N, 36] of all N whole blocks of a luma plane [H, W] in 0..255, float64.

    Of a flat block all but the shape parameters are NaN, and these the smallest that there is.
    """
    rows, columns = (side // BLOCK_PX for side in luma.shape)
    plane = luma[: rows * BLOCK_PX, : columns * BLOCK_PX]
    found = []
    for side in (BLOCK_PX, BLOCK_PX // 2):
        blocks = _local_contrast(plane).reshape(rows, side, columns, side)
        found.append(_of_one_scale(blocks.transpose(1, 2).reshape(-1, side, side)))
        plane = _halved(plane)
    return torch.cat(found, dim=1)


def _of_one_scale(blocks: Tensor) -> Tensor:
    """The 18 features [N, 18] of blocks [N, S, S], the products those of neighbours, all around."""
    alpha, left, right = _asymmetric_gaussian(blocks)
    found = [alpha, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        alpha, left, right = _asymmetric_gaussian(blocks * blocks.roll(shift, dims=(1, 2)))
        mean = (right - left) * (torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha)).exp()
        found += [alpha, mean, left, right]
    return torch.stack(found, dim=1)


def _asymmetric_gaussian(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape and the two widths [N] of the generalised Gaussian that fits values [N, S, S]."""
    values = values.flatten(1)
    squares = values.square()
    left, right = (
        ((squares * side).sum(dim=1) / side.sum(dim=1)).sqrt() for side in (values < 0, values > 0)
    )
    ratio = left / right
    peaked = values.abs().mean(dim=1).square() / squares.mean(dim=1)
    wanted = peaked * (ratio**3 + 1) * (ratio + 1) / (ratio.square() + 1).square()
    above = torch.searchsorted(RATIOS, wanted).clamp(1, len(RATIOS) - 1)
    nearer = above - (wanted - RATIOS[above - 1] <= RATIOS[above] - wanted).long()
    alpha = ALPHAS[torch.where(wanted.isnan(), 0, nearer)]
    width = (0.5 * (torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha))).exp()
    return alpha, left * width, right * width


def _ratios(alphas: Tensor) -> Tensor:
    """The squared mean magnitude over the mean square of generalised Gaussians; it increases."""
    one, two, three = (torch.lgamma(number / alphas) for number in (1, 2, 3))
    return (2 * two - one - three).exp()


RATIOS = _ratios(ALPHAS)


def _local_contrast(plane: Tensor) -> Tensor:
    """Every pixel's difference from the mean around it, in units of 1 + the deviation there."""
    planes = torch.stack([plane, plane.square()])[:, None]
    padded = F.pad(planes, (3, 3, 3, 3), mode="replicate")
    column = WINDOW.view(1, 1, -1, 1)
    mean, mean_square = F.conv2d(F.conv2d(padded, column), column.transpose(2, 3))[:, 0].unbind()
    contrast = (plane - mean) / ((mean_square - mean.square()).abs().sqrt() + 1)
    return torch.where(contrast.abs() < NOTHING, 0.0, contrast)


def _halved(plane: Tensor) -> Tensor:
    """Half the size, antialiased; the border is mirrored with its outermost pixels."""
    column = HALVING.view(1, 1, -1, 1)
    for _ in range(2):  # rows, then, transposed, columns
        mirrored = torch.cat([plane[:3].flip(0), plane, plane[-3:].flip(0)])
        plane = F.conv2d(mirrored[None, None], column, stride=(2, 1))[0, 0].T
    return plane


def _pristine(path: Path) -> tuple[Tensor, Tensor]:
    """Mean [36] and covariance [36, 36] of the features of photographs."""
    try:
        with np.load(path, allow_pickle=False) as file:
            mean = np.asarray(file["mu_pris_param"], np.float64).ravel()
            covariance = np.asarray(file["cov_pris_param"], np.float64)
    except Exception as error:  # a damaged file raises a dozen kinds
        raise DataError(
            f"{path} does not hold a model of photographs for niqe, an .npz with mu_pris_param and "
            f"cov_pris_param: {error}"
        ) from error
    if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES):
        raise DataError(
            f"{path} does not hold a model of photographs for niqe: mu_pris_param has {mean.size} "
            f"numbers and cov_pris_param {covariance.size}, where {FEATURES} and "
            f"{FEATURES} × {FEATURES} are wanted"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(f"{path} is damaged: a number in it is not finite")
    return torch.from_numpy(mean), torch.from_numpy(covariance)
