"""Pictures of more than 8 bits a channel: all bits read, and reduced to 8 where there is no room.

Of a colour picture of 16 bits Pillow keeps the high byte of each sample. Told that the two bytes
lie the other way round, it keeps the low one. So a second reading gives what the first left out:
by the same decoder, with its limits, its sense for damage and its care for how a picture lies.
"""

from __future__ import annotations

import sys
from typing import TypeGuard

import attrs
import numpy as np
from PIL import Image, ImageFile

from frx.photograph import DeepPicture, Photograph, Picture, turned

_PHOTOMETRIC = 262
_PLANAR = 284
# Grey with alpha is four bytes a pixel, just as colour with alpha of 8 bits is.
_GRAY_ALPHA = "LA;16B"
_TURNED_ROUND = {_GRAY_ALPHA: "RGBA"} | {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in ("LB", "BL", "NB" if sys.byteorder == "little" else "NL")
}


def is_deep(raw_mode: str) -> bool:
    """Tell whether a file that stores its pixels so, in Pillow's words, has more than 8 bits."""
    return ";16" in raw_mode or raw_mode == "I;12"


def ask_for_low_bytes(image: ImageFile.ImageFile) -> bool:
    """Have an image that is not loaded yet give the low byte of each sample, if it can.

    It cannot where samples are to be converted, of CMYK or multiplied by alpha, or lie in planes of
    their own, for which Pillow has its own mind.
    """
    if image.mode.startswith("I"):
        return True  # Grey is loaded with all its bits.
    if getattr(image, "tag_v2", {}).get(_PLANAR, 1) != 1:
        return False
    tiles = []
    for tile in image.tile:
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        low = _TURNED_ROUND.get(str(arguments[0])) if arguments else None
        if low is None:
            return False
        tiles.append(tile._replace(args=(low, *arguments[1:])))
    image.tile = tiles
    return bool(tiles)


def with_all_bits(
    photograph: Photograph, image: Image.Image, raw_mode: str, orientation: int
) -> Photograph:
    """Give a photograph `deep` and `deep_alpha` from an image that was loaded with the low bytes.

    `raw_mode` is how the file stores its pixels, `orientation` how the image lies, 1 to 8.
    """
    low, low_alpha = _low_bytes(image, raw_mode)
    deep_alpha = None
    if photograph.alpha is not None:
        # One that the file has not, but a transparent grey of which it says, is 0 or 255.
        below = photograph.alpha if low_alpha is None else turned(low_alpha, orientation)
        deep_alpha = _joined(photograph.alpha, below)
    return attrs.evolve(
        photograph,
        deep=_joined(photograph.pixels, turned(low, orientation)),
        deep_alpha=deep_alpha,
    )


def has_16_bits(pixels: Picture | DeepPicture) -> TypeGuard[DeepPicture]:
    """Tell the values of a picture by their type: 0..65535, or 0..255."""
    return pixels.dtype == np.uint16


def to_8_bits(pixels: Picture | DeepPicture) -> Picture:
    """Reduce 0..65535 to 0..255, rounding to the nearest; 0..255 stays as it is."""
    if has_16_bits(pixels):
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def to_gray(pixels: DeepPicture) -> DeepPicture:
    """Return the brightness [H, W] of a picture [H, W, 3], weighted as Pillow weights 8 bits."""
    weights = np.array([19595, 38470, 7471], np.uint32)  # of 65,536: Rec. 601
    return ((pixels @ weights + 32768) >> 16).astype(np.uint16)


def _low_bytes(image: Image.Image, raw_mode: str) -> tuple[Picture, Picture | None]:
    """Return those of the colours, [H, W, 3] or [H, W, 1], and of alpha."""
    values = np.asarray(image)
    if values.ndim == 2:
        if raw_mode == "I;12":
            values = values << 4 | values >> 8  # 4,095 becomes 65,535
        if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:
            values = 65535 - values
        return (values & 255).astype(np.uint8)[..., None], None
    if raw_mode == _GRAY_ALPHA:
        return values[..., 1:2], values[..., 3]
    return values[..., :3], values[..., 3] if values.shape[2] == 4 else None


def _joined(high: Picture, low: Picture) -> DeepPicture:
    return high * np.uint16(256) + low
