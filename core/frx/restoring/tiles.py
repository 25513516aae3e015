"""A picture of any size through a network, in overlapping tiles where memory asks for it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor, nn

from frx.blind import composited
from frx.errors import RecipeError, ResourceError
from frx.memory import free_bytes, is_out_of_memory
from frx.model_folder import Restorer
from frx.progress import say
from frx.restoring.footprint import peak_bytes

# Tried from the largest; a picture in one piece has at most as many pixels as the largest tile.
TILES_PX = (1024, 768, 512, 384, 256, 192, 128, 96, 64)
LARGEST_PX, SMALLEST_PX = TILES_PX[0], TILES_PX[-1]
# What is taken of the free memory: estimates err, and others want some, too.
SHARE = 0.6
# For networks whose memory cannot be estimated.
CAUTIOUS_PX = 512

# Of a tile's side, but not less than so many pixels, if it has twice as many.
OVERLAP, LEAST_OVERLAP_PX = 1 / 8, 48
# Networks that halve a picture see the same in a tile as in the whole if it begins at a multiple.
ALIGNED_PX = 16


@frozen
class Plan:
    """How a picture is to go through a network.

    `tile_px` is the side of its tiles, None where it goes in one piece; `estimate` and `free` are
    the memory in bytes that it will take and that there is, None where that is not known.
    """

    tile_px: int | None
    estimate: int | None
    free: int | None


def plan(restorer: Restorer, height: int, width: int, with_mask: bool = False) -> Plan:
    """Choose tiles for a picture of `height` × `width` pixels by the memory that is free now.

    In one piece, if it has no more pixels than the largest tile and fits; else the largest tile
    that fits, or the smallest where none does.
    """
    free = free_bytes(restorer.precision.device)
    kept = _kept_bytes(restorer, height, width)

    def planned(tile_px: int | None) -> Plan:
        rows, columns = (
            side if tile_px is None else min(side, tile_px) for side in (height, width)
        )
        peak = _peak_bytes(restorer, rows, columns, with_mask)
        return Plan(tile_px, None if peak is None else peak + kept, free)

    if restorer.fixed_size:
        return planned(None)
    choices: list[int | None] = [
        _no_larger_than_needed(height, width, px) for px in TILES_PX if px < max(height, width)
    ]
    if height * width <= LARGEST_PX**2 or not choices:
        choices.insert(0, None)
    for tile_px in choices:
        chosen = planned(tile_px)
        if chosen.estimate is None:
            side = max(height, width) if tile_px is None else tile_px
            fits = side <= CAUTIOUS_PX
        else:
            fits = free is None or chosen.estimate <= SHARE * free
        if fits:
            break
    return chosen


@torch.no_grad()
def through(
    restorer: Restorer,
    batch: Mapping[str, Tensor],
    *,
    tile_px: int | None = None,
    name: str = "the picture",
) -> dict[str, Tensor]:
    """Return what a network makes of a picture, in tiles that are put together without a seam.

    `batch` has "degraded" [1, 3, H, W] in 0..1 and maybe "mask" [1, 1, H, W], on the device. Back
    come the pictures that the network gives by name, "image" [1, 3, H·scale, W·scale] among them;
    where it finds the damage itself, "image" is the composite, as from `Restorer`. `tile_px` is the
    tiles' side, by default that of `plan`.

    Where memory runs out all begins again with tiles half as large. A network that looks no
    further around than a third of the tiles' overlap gives what it gives of the whole picture, but
    for rounding; others give a little else in each tile, and it goes over smoothly.

    Raises:
        RecipeError: `tile_px` is too small.
        ResourceError: memory is too small even for small tiles; `name` says of which picture.
    """
    height, width = batch["degraded"].shape[-2:]
    if tile_px is None:
        tile_px = plan(restorer, height, width, "mask" in batch).tile_px
    elif tile_px < SMALLEST_PX:
        raise RecipeError(f"tiles of {tile_px} px are too small: at least {SMALLEST_PX}")
    while True:
        try:
            outputs = _in_tiles(restorer, batch, tile_px)
            return composited(outputs, batch["degraded"], restorer.mask_threshold)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            side = max(height, width) if tile_px is None else min(tile_px, max(height, width))
            tile_px = min(side // 2, LARGEST_PX)
            if tile_px < SMALLEST_PX or restorer.fixed_size:
                raise ResourceError(
                    f"{name}: out of memory at {width}×{height}, a piece of {side} px at a time; "
                    "make the picture smaller, or try another --device"
                ) from error
        # Not before the error is gone, and with it all that the failed attempt still held.
        _empty_cache(restorer.precision.device)
        say(f"{name}: out of memory; tiles halved to {tile_px} px")


def _of_tile(restorer: Restorer, tile: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the network makes of a tile; where nothing is to fill in, that is what is there."""
    only_fills = restorer.asks.get("mask", False) and restorer.scale == 1
    if only_fills and not tile["mask"].any():
        return {"image": tile["degraded"]}
    return restorer.precision.forward(restorer.module, tile)


@frozen(eq=False)
class Span:
    """Where tiles lie along one side of a picture, in pixels from `start` to before `stop`.

    `weights` says how much each pixel of the result counts: 1 where no other tile counts, and
    those of all tiles add up to 1.
    """

    start: int
    stop: int
    weights: Tensor

    def of(self, scale: int = 1) -> slice:
        """The part of the picture, or of a result `scale` times as large."""
        return slice(scale * self.start, scale * self.stop)


def spans(side: int, tile_px: int, scale: int = 1) -> list[Span]:
    """Overlapping tiles along a side of so many pixels, for a result `scale` times as large.

    They begin at multiples of 16, equally far apart but for that. The last one ends where the
    picture ends, and is up to 15 pixels smaller where that is at no multiple of 16.
    """
    if side <= tile_px:
        return [Span(0, side, torch.ones(side * scale))]
    starts = _starts(side, tile_px)
    stops = [min(start + tile_px, side) for start in starts]
    # From one tile to the next in the middle third of what they share, so that what is near to a
    # tile's border, where the network sees zeros instead of the picture, does not count at all.
    places = (torch.arange(side * scale, dtype=torch.float64) + 0.5) / scale
    arrived = [torch.ones_like(places)]
    for stop, start in zip(stops, starts[1:], strict=False):
        x = ((places - (start + stop) / 2) / (_overlap(tile_px) / 3) + 0.5).clamp(0, 1)
        arrived.append(x * x * (3 - 2 * x))
    arrived.append(torch.zeros_like(places))
    return [
        Span(start, stop, (here - there)[scale * start : scale * stop].float())
        for start, stop, here, there in zip(starts, stops, arrived, arrived[1:], strict=False)
    ]


def _overlap(tile_px: int) -> int:
    """What neighbours share at least."""
    return max(round(OVERLAP * tile_px), min(LEAST_OVERLAP_PX, tile_px // 2))


def _starts(side: int, tile_px: int) -> list[int]:
    step = (tile_px - _overlap(tile_px)) // ALIGNED_PX
    last = -(-max(0, side - tile_px) // ALIGNED_PX)
    gaps = -(-last // step)
    return [last * number // max(1, gaps) * ALIGNED_PX for number in range(gaps + 1)]


def _no_larger_than_needed(height: int, width: int, tile_px: int) -> int:
    """The smallest side with which there are as few tiles as with this one."""

    def counts(px: int) -> tuple[int, int]:
        return len(_starts(height, px)), len(_starts(width, px))

    smaller = range(SMALLEST_PX, tile_px, ALIGNED_PX)
    return next((px for px in smaller if counts(px) == counts(tile_px)), tile_px)


def _in_tiles(
    restorer: Restorer, batch: Mapping[str, Tensor], tile_px: int | None
) -> dict[str, Tensor]:
    """What the network gives for each tile, blended; for a single one just what it gives."""
    height, width = batch["degraded"].shape[-2:]
    if tile_px is None or (height <= tile_px and width <= tile_px):
        return restorer.precision.forward(restorer.module, batch)
    scale, device = restorer.scale, restorer.precision.device
    blended: dict[str, Tensor] = {}
    for row in spans(height, tile_px, scale):
        for column in spans(width, tile_px, scale):
            tile = {
                key: picture[..., row.of(), column.of()].clone() for key, picture in batch.items()
            }
            weights = (row.weights[:, None] * column.weights).to(device)
            for key, values in _of_tile(restorer, tile).items():
                if values.shape[-2:] != weights.shape:
                    continue  # no picture of that size, so none that could be put together
                if key not in blended:
                    shape = (*values.shape[:2], scale * height, scale * width)
                    blended[key] = torch.zeros(shape, device=device)
                blended[key][..., row.of(scale), column.of(scale)].addcmul_(values, weights)
    return blended


_ESTIMATES: weakref.WeakKeyDictionary[nn.Module, dict[tuple[int, int, bool, bool], int | None]] = (
    weakref.WeakKeyDictionary()
)


def _peak_bytes(restorer: Restorer, height: int, width: int, with_mask: bool) -> int | None:
    """`peak_bytes`, remembered: a folder has many pictures of one size."""
    known = _ESTIMATES.setdefault(restorer.module, {})
    key = height, width, with_mask, restorer.precision.bf16
    if key not in known:
        known[key] = peak_bytes(restorer.module, key[:2], with_mask=key[2], bf16=key[3])
    return known[key]


def _kept_bytes(restorer: Restorer, height: int, width: int) -> int:
    """What the results of a whole picture take, and compositing them."""
    channels = 3
    if restorer.finds_damage:
        channels = 3 + 1 + 1 + 1 + 3  # prediction, logits, their sigmoid, damage, composite
    elif restorer.takes_mask:
        channels = 3 + 3
    return channels * height * width * restorer.scale**2 * torch.float32.itemsize


def _empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
