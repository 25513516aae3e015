"""Batches of pictures, from the cache and from JPEG, beside PIL, Resize and ToTensor.

Float tensors [16, 3, 128, 128] on one thread: the peer's from a `DataLoader` as in torchvision's
documentation, frx's by what training calls for a set's pictures. The files are as large as those of
photographs (`benchmarks.photographs`). How much faster reduced decoding is depends on the quality:
either side reads every bit of a file, and at 90 there are 1.8 times as many as at 75.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks import photographs
from benchmarks.measuring import Row, paired
from frx.cache import Cached
from frx.datasets.folder import Folder
from frx.loader import to_device
from frx.specs import Dataset

SIZE_PX, BATCH, FILES = 128, 16, 48
PEER = "PIL, Resize, ToTensor"
ROUND_S = 0.2


class Pictures(torch.utils.data.Dataset[torch.Tensor]):
    """The peer's data set."""

    def __init__(self, paths: Sequence[Path]) -> None:
        from torchvision import transforms

        self.paths = paths
        steps = [transforms.Resize((SIZE_PX, SIZE_PX)), transforms.ToTensor()]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        tensor: torch.Tensor = self.transform(Image.open(self.paths[index]).convert("RGB"))
        return tensor


def loaded(loader: DataLoader[torch.Tensor]) -> None:
    """An epoch of the peer's."""
    for _ in loader:
        pass


def read(dataset: Dataset) -> None:
    """An epoch of frx's."""
    cpu = torch.device("cpu")
    for start in range(0, len(dataset), BATCH):
        numbers = range(start, min(start + BATCH, len(dataset)))
        pictures = np.stack([dataset[number]["clean"] for number in numbers])
        to_device(torch.as_tensor(pictures), cpu)


def rows() -> Iterator[Row]:
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        for height, width, quality in ((218, 178, 75), (512, 512, 75), (512, 512, 90)):
            with tempfile.TemporaryDirectory() as folder:
                yield from compared(Path(folder), height, width, quality)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def compared(folder: Path, height: int, width: int, quality: int) -> Iterator[Row]:
    """The rows of files of one kind."""
    paths = photographs.write(folder, FILES, height, width, quality)
    whole = Folder(path=str(folder), size=SIZE_PX)
    candidates = {
        PEER: partial(loaded, DataLoader(Pictures(paths), batch_size=BATCH, shuffle=True)),
        "cache": partial(read, Cached(whole)),
        "full": partial(read, whole),
    }
    has_reduced = min(height, width) >= 2 * SIZE_PX
    if has_reduced:
        reduced = Folder(path=str(folder), size=SIZE_PX, decoding="reduced")
        candidates["reduced"] = partial(read, reduced)
    measured = paired(candidates, round_s=ROUND_S)
    kind = f"{width} × {height} px of quality {quality}"
    yield measured.times_better(f"cache, {kind}", PEER, "≥ 15", "cache")
    if has_reduced:
        yield measured.times_better(f"JPEG, {kind}, reduced", PEER, "≥ 3", "reduced")
    yield measured.times_better(f"JPEG, {kind}", PEER, "≥ 1", "full")
