"""Where in a photograph a network is put to work, and at which size."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

import cv2
import numpy as np
from attrs import define, frozen

from frx.align import FaceFinder
from frx.errors import DataError
from frx.images import Picture, shown
from frx.model_folder import Restorer
from frx.photograph import Photograph
from frx.restoring.crops import Crop

# Of a network that does not say at which size it learned, what it gives is about this large.
USUAL_PX = 512
# Larger than this no face is made unless asked for: memory and time grow with the area.
LARGEST_PX = 1024
# A picture that is a face is at most so many times as long as it is wide.
LONGEST = 3


@frozen
class Sizes:
    """At which size a network sees a face.

    One that redraws all of a face works at the face's own size, but at no less than it learned at:
    at less, a large face would lose what makes it that person. One that replaces only the damage
    works at the size that it learned at, where it knows how large damage is. `chosen` overrules.
    """

    restorer: Restorer
    in_part: bool
    chosen: int | None = None

    def of(self, side_px: float) -> int:
        """The height and width at which to see a face that has so many pixels a side."""
        if self.chosen is not None:
            return self.chosen
        learned = self.restorer.size or USUAL_PX // self.restorer.scale
        if self.in_part or self.restorer.fixed_size:
            return learned
        # Steps of half the size: few enough sizes for faces of several photographs to share one.
        step = max(1, learned // 2)
        return max(learned, min(step * round(side_px / step), LARGEST_PX))


class Places(Protocol):
    """Where in a photograph to work; `rest` says whether all of it is sent through at the end."""

    rest: ClassVar[bool]

    def __call__(self, photograph: Photograph, mask: Picture | None) -> list[Crop]:
        """The crops of a photograph to send through."""


@define
class Faces:
    """Every face, or the largest."""

    sizes: Sizes
    which: Literal["all", "largest"] = "all"
    finder: FaceFinder | None = None
    rest: ClassVar[bool] = False

    def __call__(self, photograph: Photograph, mask: Picture | None) -> list[Crop]:
        """Largest first. What is marked is smoothed over before: holes hide faces."""
        if self.finder is None:
            on_cuda = self.sizes.restorer.precision.device.type == "cuda"
            self.finder = FaceFinder(device="cuda" if on_cuda else "cpu")
        pixels = np.ascontiguousarray(photograph.pixels)
        if mask is not None and mask.any():
            pixels = cv2.inpaint(pixels, mask, 3, cv2.INPAINT_TELEA).astype(np.uint8)
        found = self.finder(pixels)
        crops = []
        for face in found[:1] if self.which == "largest" else found:
            side_px = Crop.of_face(face, USUAL_PX).side_px
            crops.append(Crop.of_face(face, self.sizes.of(side_px)))
        return crops


@define
class Aligned:
    """Pictures that are faces already, all of each."""

    sizes: Sizes
    rest: ClassVar[bool] = False

    def __call__(self, photograph: Photograph, mask: Picture | None) -> list[Crop]:
        """One crop."""
        height, width = photograph.pixels.shape[:2]
        sizes = self.sizes
        if sizes.restorer.fixed_size and height != width:
            raise DataError(
                f"{shown(photograph.path)}: {width}×{height}, but this network sees squares; "
                "leave --aligned out, or cut the face out with `frx align`"
            )
        if max(height, width) > LONGEST * min(height, width):
            raise DataError(
                f"{shown(photograph.path)}: {width}×{height}, which no face fills; leave --aligned "
                "out, or cut the face out with `frx align`"
            )
        side, learned = min(height, width), sizes.restorer.size or 1
        free = not (sizes.in_part or sizes.restorer.fixed_size or sizes.chosen)
        # Without other faces to share a batch with, one that is large enough is seen as it is.
        factor = 1.0 if free and side >= learned else sizes.of(side) / side
        return [Crop.of_whole(height, width, factor)]


class Whole:
    """The whole picture, at its own size."""

    rest: ClassVar[bool] = True

    def __call__(self, photograph: Photograph, mask: Picture | None) -> list[Crop]:
        """None."""
        return []
