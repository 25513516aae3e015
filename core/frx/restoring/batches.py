"""Crops of many photographs sent through a network together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray
from torch import Tensor

from frx.loader import to_device
from frx.memory import is_out_of_memory
from frx.model_folder import Restorer
from frx.restoring.crops import Crop, Values

# About as many pixels at a time as use a device well: 16 faces of 128 or of 512 pixels.
PIXELS_ON_CPU, PIXELS_ELSEWHERE = 2**18, 2**22


@define(eq=False)
class Part:
    """A crop of a photograph, and what a network makes of it.

    `given` [h, w, 3] and `image` are float32 in 0..1, the latter possibly larger; `mask` is uint8
    [h, w]; `found` is float32, 1 where the network itself found damage. `failure` is a sentence.
    """

    crop: Crop
    given: Values
    mask: NDArray[np.uint8] | None = None
    image: Values | None = None
    found: Values | None = None
    failure: str | None = None
    seconds: float = 0.0  # its share of the time that the network took

    def take(self, image: Values, found: Values | None) -> None:
        """Keep what the network made of it, and [h, w, 1] of what it found."""
        if np.isfinite(image).all():
            self.image, self.found = image, None if found is None else found[..., 0]
        else:
            self.failure = "the network gave values that are no numbers"

    @property
    def is_done(self) -> bool:
        """Whether the network has seen it."""
        return self.image is not None or self.failure is not None


@define(eq=False)
class Batches:
    """Collects parts of one size until they fill a batch."""

    restorer: Restorer
    waiting: dict[tuple[int, ...], list[Part]] = field(factory=dict)

    def add(self, part: Part) -> None:
        """Take a part in; a batch that is full is done at once."""
        key = (*part.given.shape, part.mask is not None)
        parts = self.waiting.setdefault(key, [])
        parts.append(part)
        on_cpu = self.restorer.precision.device.type == "cpu"
        most = PIXELS_ON_CPU if on_cpu else PIXELS_ELSEWHERE
        if (len(parts) + 1) * part.given.shape[0] * part.given.shape[1] > most:
            self._run(self.waiting.pop(key))

    def flush(self) -> None:
        """Do all that waits."""
        while self.waiting:
            self._run(self.waiting.popitem()[1])

    def _run(self, parts: Sequence[Part]) -> None:
        started = time.monotonic()
        try:
            take(parts, self.restorer(batch_of(parts, self.restorer.precision.device)))
        except Exception as error:  # someone's network may raise anything
            if not is_out_of_memory(error) or len(parts) == 1:
                for part in parts:
                    part.failure = _why(error, part)
                return
        else:
            for part in parts:
                part.seconds = (time.monotonic() - started) / len(parts)
            return
        # Outside of `except`, whose traceback would hold what filled the memory.
        if self.restorer.precision.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(parts) // 2
        self._run(parts[:half])
        self._run(parts[half:])


def batch_of(parts: Sequence[Part], device: torch.device) -> dict[str, Tensor]:
    """Parts of one size as a network takes them."""
    given = torch.from_numpy(np.stack([part.given for part in parts]))
    batch = {"degraded": given.to(device).permute(0, 3, 1, 2)}
    masks = [part.mask for part in parts if part.mask is not None]
    if masks:
        batch["mask"] = to_device(torch.from_numpy(np.stack(masks)), device)
    return batch


def take(parts: Sequence[Part], outputs: Mapping[str, Tensor]) -> None:
    """Give each part what a network made of it: its whole answer, also where that is put in."""
    pictures = _pictures(outputs.get("generated", outputs["image"]))
    found = _pictures(outputs["found"]) if "found" in outputs else None
    for number, part in enumerate(parts):
        part.take(pictures[number], None if found is None else found[number])


def failed(error: Exception) -> str:
    """What to say of a network that raised something."""
    return f"the network failed: {str(error).strip().partition(chr(10))[0]}"


def _why(error: Exception, part: Part) -> str:
    if not is_out_of_memory(error):
        return failed(error)
    height, width = part.given.shape[:2]
    return f"out of memory at {width}×{height}; try a smaller --face-size, or another --device"


def _pictures(tensor: Tensor) -> Values:
    """[B, C, H, W] as an array [B, H, W, C]."""
    pictures: Values = tensor.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pictures
