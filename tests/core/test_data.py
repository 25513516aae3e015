"""Samples, damage and batches: a function of names, not of how they are fetched."""

import gc
import os
import pickle
import signal
import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from frx import loading_processes
from frx.augmentations.horizontal_flip import HorizontalFlip
from frx.damage import damage
from frx.data import Samples, Subset, epoch_order, first_readable
from frx.errors import DataError, FrxError, ResourceError
from frx.loader import Loader
from frx.randomness import generator, seed_of
from frx.whereabouts import Whereabouts

CPU = torch.device("cpu")
# Damage that was written to disk once has to come out the same for ever.
SEED = 11793455829322765079


class Squares:
    """Plain pictures; number 3 cannot be read if `broken`, number 4 is larger if `uneven`."""

    def __init__(self, broken: bool = False, uneven: bool = False) -> None:
        self.broken, self.uneven = broken, uneven

    def __len__(self) -> int:
        return 8

    def name(self, index: int) -> str:
        return f"square-{index}.png"

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        if self.broken and index == 3:
            raise DataError("square-3.png: cut off")
        side = 12 if self.uneven and index == 4 else 8
        return {"clean": np.full((side, side, 3), 20 * index + 10, np.uint8)}


def noise(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, image.shape, dtype=np.uint8)


def hole(
    image: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[int(rng.integers(4)), :] = 255
    return np.where(mask[..., None] > 0, np.uint8(0), image), mask


def samples(on_bad: str = "error", workers: int = 0, **kind: bool) -> Samples:
    indices = np.arange(8, dtype=np.int64)
    return Samples(Subset(Squares(**kind), indices, on_bad, workers), 7, [noise])


def fetch(made: Samples, order: Sequence[int], size: int, **how: int) -> dict[str, torch.Tensor]:
    found = {}
    for batch in Loader(made, CPU).batches(np.array(order, np.int64), size, **how):
        found |= dict(zip(batch.names, batch["degraded"], strict=True))
    return found


def test_a_seed_is_the_same_in_every_process_and_differs_by_every_name() -> None:
    assert seed_of(42, "degrade", 0, "a.png") == SEED
    draws = {
        tuple(generator(*names).integers(0, 1 << 30, 3))
        for names in [(1, "a"), (1, "b"), (2, "a"), ("1", "a", ""), (1, "a", 0), (11, "")]
    }
    assert len(draws) == 6


@pytest.mark.parametrize(
    ("order", "size", "workers"), [(range(8), 3, 0), (range(7, -1, -1), 2, 0), (range(8), 4, 2)]
)
def test_damage_depends_on_neither_order_nor_batch_nor_workers(
    order: Sequence[int], size: int, workers: int
) -> None:
    expected = fetch(samples(), range(8), 8, epoch=1)
    found = fetch(samples(workers=workers), order, size, epoch=1)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_training_damage_is_new_each_epoch_and_the_rest_always_the_same() -> None:
    first, second = (fetch(samples(), range(8), 8, epoch=epoch) for epoch in (0, 1))
    assert not any(torch.equal(first[name], second[name]) for name in first)
    fixed, again = (fetch(samples(), range(8), 8) for _ in range(2))
    assert all(torch.equal(fixed[name], again[name]) for name in fixed)


def test_skipped_batches_are_those_at_the_front() -> None:
    rest = fetch(samples(), range(8), 3, epoch=0, skip=2)
    assert list(rest) == ["square-6.png", "square-7.png"]


def test_a_batch_is_what_the_device_wants() -> None:
    (batch,) = Loader(samples(), CPU).batches(np.arange(8), 8)
    assert batch["clean"].shape == (8, 3, 8, 8)
    assert batch["clean"].is_contiguous(memory_format=torch.channels_last)
    assert batch["clean"][2, 0, 0, 0] == pytest.approx(50 / 255)
    assert batch["mask"].shape == (8, 1, 8, 8)
    assert batch["mask"].sum() == 0  # noise destroys no pixel for good


def test_masks_of_several_degradations_are_joined() -> None:
    image = np.full((8, 8, 3), 9, np.uint8)
    result = damage(image, [hole, noise, hole], generator(3))
    assert isinstance(result, tuple)
    assert 1 <= (result[1][:, 0] > 0).sum() <= 2
    assert not isinstance(damage(image, [noise], generator(3)), tuple)


def test_an_unreadable_image_stops_or_is_named_and_left_out() -> None:
    with pytest.raises(DataError, match=r'square-3.png: cut off \(data.on_bad = "skip"'):
        fetch(samples(broken=True), range(8), 4)
    found = list(Loader(samples("skip", broken=True), CPU).batches(np.arange(8), 4))
    assert [batch.size for batch in found] == [3, 4]
    assert found[0].bad == [("square-3.png", "square-3.png: cut off")]


class Troubled(Squares):
    """Something happens to the process that loads picture 5; where nobody loads for it, nothing."""

    def __init__(self, trouble: Callable[[], object]) -> None:
        super().__init__()
        self.trouble = trouble

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        if index == 5 and get_worker_info() is not None:
            self.trouble()
        return super().__getitem__(index)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(error: Exception) -> Callable[[], object]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        (
            die,
            ResourceError,
            r"died or hangs at square-5\.png \(.*(killed|exited).*data\.workers = 0",
        ),
        (lambda: time.sleep(5), ResourceError, r"hangs at square-5\.png \(.*timed out"),
        (fail(DataError("square-5.png: cut off")), DataError, "square-5.png: cut off"),
        (fail(MemoryError()), ResourceError, r"square-5\.png: out of memory"),
        (fail(ResourceError("square-5.png: not enough memory")), ResourceError, "^square-5"),
        (fail(KeyError("a bug")), KeyError, r"(?s)a bug.*while making the sample square-5\.png"),
    ],
    ids=["is killed", "hangs", "refuses", "has no memory", "has no room", "raises"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_whatever_happens_to_a_loading_process_the_image_is_named(
    trouble: Callable[[], object],
    kind: type[Exception],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading_processes, "WORKER_TIMEOUT_S", 3)
    # How long it waits for processes that are no longer wanted.
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.3)
    subset = Subset(Troubled(trouble), np.arange(8, dtype=np.int64), workers=2)
    with pytest.raises(kind, match=said) as caught:
        fetch(Samples(subset, 7, [noise]), range(8), 2, epoch=0)
    if isinstance(caught.value, FrxError):
        assert "\n" not in str(caught.value)
        assert "Traceback" not in str(caught.value)
        assert caught.value.exit_code in (3, 5)
    del caught  # with which the processes end
    gc.collect()
    whole = fetch(Samples(attrs.evolve(subset, workers=0), 7, [noise]), range(8), 2, epoch=0)
    assert len(whole) == 8


def test_spawned_processes_share_no_notes_and_nothing_breaks() -> None:
    notes = pickle.loads(pickle.dumps(Whereabouts.of(2)))
    notes.enter(3)
    assert notes.at("worker (pid 1) is killed") == []


def test_where_none_can_be_read_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class AllBad(Squares):
        def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
            raise DataError(f"{self.name(index)}: cut off")

    subset = Subset(AllBad(), np.arange(8, dtype=np.int64), "skip")
    with pytest.raises(DataError, match=r"none of 8 images can be read; the first: square-0\.png"):
        first_readable(subset)
    index, _ = first_readable(Subset(Squares(broken=True), np.arange(3, 8), "skip"))
    assert index == 4
    with pytest.raises(DataError, match=r'square-3.*data\.on_bad = "skip" leaves it out'):
        first_readable(Subset(Squares(broken=True), np.arange(3, 8), "error"))


def test_images_of_two_sizes_in_a_batch_are_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match="8×8, 12×12"):
        fetch(samples(uneven=True), range(8), 8)


def test_an_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    indices = np.arange(100, dtype=np.int64)
    first, again, second = (epoch_order(1, epoch, indices) for epoch in (0, 0, 1))
    assert sorted(first) == list(range(100))
    assert first.tolist() == again.tolist() != second.tolist()


class Ramp(Squares):
    """One picture whose left and right differ."""

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        return {"clean": np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)}


def test_augmentation_is_for_training_only() -> None:
    subset = Subset(Ramp(), np.arange(8, dtype=np.int64))
    made = Samples(subset, 7, [], [HorizontalFlip(probability=1.0)])
    ramp = Ramp()[0]["clean"]
    assert (made.make(0, epoch=0)["clean"] == ramp[:, ::-1]).all()
    assert (made.make(0)["clean"] == ramp).all()
