"""Grids of pictures with captions, for people who would rather look than read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8]
GAP_PX = 4
CAPTION_PX = 22


def to_pixels(image: Tensor) -> Picture:
    """float [(1,) 3, H, W] in 0..1 (clipped) to uint8 [H, W, 3]; one channel becomes grey."""
    image = image.detach().reshape(image.shape[-3:]).clamp(0, 1)
    image = image.expand(3, -1, -1)
    pixels: Picture = image.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels


def columns(
    batch: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    classical: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """What to show side by side, by caption, each [B, 3 or 1, H, W].

    `classical` has what baselines made of the batch, which stands after the damaged picture.
    A network that fills in gives its whole answer as "generated"; its "image" is the composite.
    With "found", the damage that it was not told of, what it saw and found is shown as well.
    """
    between = classical or {}
    if "found" in outputs:
        return {
            "damaged": batch["degraded"],
            **between,
            "predicted": outputs["generated"],
            "found": outputs["found"],
            "restored": outputs["image"],
            "clean": batch["clean"],
        }
    if "generated" in outputs:
        return {
            "original": batch["clean"],
            "masked": batch["degraded"],
            **between,
            "generated": outputs["generated"],
            "composite": outputs["image"],
        }
    return {
        "damaged": batch["degraded"],
        **between,
        "restored": outputs["image"],
        "clean": batch["clean"],
    }


def comparison(rows: Sequence[Mapping[str, Tensor]]) -> Picture:
    """One row a sample, one captioned column a kind of picture; smaller pictures are enlarged."""
    captions = list(rows[0])
    pictures = [[to_pixels(image) for image in row.values()] for row in rows]
    height, width = np.max([p.shape[:2] for row in pictures for p in row], axis=0)
    scale = max(1, -(-128 // width))  # captions need room
    height, width = int(height * scale), int(width * scale)
    canvas = np.full(
        (
            CAPTION_PX + len(rows) * (height + GAP_PX),
            len(captions) * (width + GAP_PX) - GAP_PX,
            3,
        ),
        255,
        np.uint8,
    )
    for column, caption in enumerate(captions):
        _write(canvas, caption, column * (width + GAP_PX) + 4, width - 8)
    for row_number, row in enumerate(pictures):
        for column, picture in enumerate(row):
            large = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
            y, x = CAPTION_PX + row_number * (height + GAP_PX), column * (width + GAP_PX)
            canvas[y : y + height, x : x + width] = large
    return canvas


def _write(canvas: Picture, text: str, x: int, room_px: int) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (width_px, _), _ = cv2.getTextSize(text, font, scale, 1)
    scale *= min(1, room_px / max(1, width_px))
    cv2.putText(canvas, text, (x, CAPTION_PX - 7), font, scale, (40, 40, 40), 1, cv2.LINE_AA)
