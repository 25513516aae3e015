"""From samples to batches on the device, with processes that make them where these help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from frx.blame import culprit
from frx.data import Samples, reason_of, unread
from frx.errors import DataError, FrxError, RecipeError, ResourceError
from frx.images import shown
from frx.loading_processes import Processes, Wanted, worker_count
from frx.whereabouts import Whereabouts

if TYPE_CHECKING:
    from torch import Tensor, device


class Batch(dict[str, "Tensor"]):
    """Tensors by name on the device, with the ids of the samples in them, and what was left out.

    `whole` is how many images the batch has with the shares of other processes.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], names: list[str], bad: list[tuple[str, str]]
    ) -> None:
        super().__init__(tensors)
        self.names, self.bad = names, bad
        self.whole = len(names)

    @property
    def size(self) -> int:
        """The number of images in this process."""
        return len(self.names)


@define(eq=False)
class Loader:
    """Makes batches of samples for a device.

    The processes that help it, as many as `data.workers` says, stay from one epoch to the next and
    end with it.
    """

    samples: Samples
    device: device
    _processes: Processes | None = field(default=None, init=False)

    def batches(
        self,
        indices: NDArray[np.int64],
        batch_size: int,
        *,
        epoch: int | None = None,
        skip: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """Batches on the device, in the order given, without the first `skip`.

        With a share of (k, n) of each batch every n-th image from the k-th on; that may be none.
        """
        import torch

        starts = range(skip * batch_size, len(indices), batch_size)
        parts = (indices[start : start + batch_size][share[0] :: share[1]] for start in starts)
        for fetched in self._fetched([(epoch, part.tolist()) for part in parts]):
            if "error" in fetched:
                raise fetched["error"]
            tensors = {
                name: to_device(torch.as_tensor(array), self.device)
                for name, array in fetched["pictures"].items()
            }
            yield Batch(tensors, fetched["names"], fetched["bad"])

    def _fetched(self, wanted: list[Wanted]) -> Iterator[dict[str, Any]]:
        """What `_Fetch` gives for each batch that is wanted."""
        count = min(worker_count(self.samples.subset.workers, self.device), len(wanted))
        # Who comes in between begins others, and those of who leaves before the end are ended.
        processes, self._processes = self._processes, None
        if processes is None or processes.count < count:
            whereabouts = Whereabouts.of(count)
            fetch = _Fetch(self.samples, whereabouts)
            processes = Processes.begin(fetch, count, self.device, whereabouts)
        yield from processes.fetched(wanted)
        self._processes = processes


@define(eq=False)
class _Fetch:
    """What a DataLoader asks for samples: a whole batch at a time.

    What is wrong comes back as a sentence: an exception would bring a worker's traceback along.
    """

    samples: Samples
    whereabouts: Whereabouts

    def __len__(self) -> int:
        return len(self.samples.subset)

    def __getitems__(self, wanted: Wanted) -> dict[str, Any]:
        epoch, indices = wanted
        made, names, bad = [], [], []
        for index in indices:
            name = self.samples.subset.dataset.name(index)
            self.whereabouts.enter(index)
            try:
                made.append(self.samples.make(index, epoch))
                names.append(name)
            except (DataError, ValueError) as error:
                if self.samples.subset.on_bad == "error":
                    return _ended(unread(error, name))
                bad.append((name, reason_of(error, name)))
            except FrxError as error:
                return _ended(error)
            except MemoryError:
                return _ended(ResourceError(f"{shown(name)}: out of memory making this sample"))
            except Exception as error:
                error.add_note(f"while making the sample {shown(name)}")
                if (sentence := culprit(error)) is None:
                    raise
                return _ended(RecipeError(f"{sentence}; the sample was {shown(name)}"))
        self.whereabouts.leave()
        shapes = {pictures["clean"].shape for pictures in made}
        if len(shapes) > 1:
            sizes = ", ".join(f"{w}×{h}" for h, w, _ in sorted(shapes))
            which = f"{sizes}, the first is {shown(names[0])}"
            text = f"images of different sizes in one batch ({which})"
            return _ended(DataError(f"{text}; set data.size, or batch_size = 1"))
        keys = made[0].keys() if made else ()
        stacked = {key: np.stack([pictures[key] for pictures in made]) for key in keys}
        return {"pictures": stacked, "names": names, "bad": bad}


def _ended(error: FrxError) -> dict[str, Any]:
    return {"error": error.with_traceback(None)}


def to_device(picture: Tensor, device: device) -> Tensor:
    """uint8 [B, H, W(, 3)] to float32 [B, 3 or 1, H, W] in 0..1; H×W×3 is channels_last already."""
    picture = picture.to(device, non_blocking=True)
    if picture.ndim == 3:
        return picture.unsqueeze(1).float().div_(255)
    return picture.permute(0, 3, 1, 2).float().div_(255)
