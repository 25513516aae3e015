"""Checks of what happens to pictures before they reach the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frx.build import call
from frx.parallel import on_all_cores
from frx.specs import Augmentation, Dataset, Degradation
from frx.testing.promises import Promises

Picture = NDArray[np.uint8]
SIZES = ((64, 64), (37, 53))  # height, width
SEEDS = range(6)  # so many that a random choice between a few ways takes each of them


def check_degradation(degradation: Degradation) -> None:
    """Same shape and dtype, a proper mask, decided by the generator alone, any size and view.

    Raises:
        AssertionError: says which promise of `frx.Degradation` is broken.
    """
    promises = Promises.made_by(degradation)
    in_worker = promises.sent_to_worker(degradation)
    for height, width in SIZES:
        image = _image(height, width)
        before = image.copy()
        given = f"an image of {width} × {height}"
        first = {}
        for seed in SEEDS:
            with promises.no_error(given), promises.no_global_randomness():
                result = degradation(image, np.random.default_rng(seed))
            promises.kept(
                np.array_equal(image, before), "changes the image it is given instead of a copy"
            )
            first[seed] = _damage(promises, result, image)

        def gives(
            wanted: Picture, seed: int, given: str, of: Degradation = degradation
        ) -> tuple[Picture, ...]:
            with promises.no_error(given):
                result = of(wanted, np.random.default_rng(seed))
            return result if isinstance(result, tuple) else (result,)

        image.flags.writeable = False
        for seed in reversed(SEEDS):
            promises.kept(
                _same(gives(image, seed, f"{given} that is read-only"), first[seed]),
                "gives two results for one generator: it keeps something between calls, or draws "
                "from elsewhere",
            )
            promises.kept(
                _same(gives(image, seed, given, in_worker), first[seed]),
                "gives another result in a data-loading process",
            )
            for view in (image[:, ::-1], image[4:-4, 2:-2], image.transpose(1, 0, 2)):
                promises.kept(
                    _same(
                        gives(view, seed, f"{given} that is not contiguous"),
                        gives(view.copy(), seed, given),
                    ),
                    "gives another result for a view of an image than for a copy of it",
                )


def _damage(promises: Promises, result: Any, image: Picture) -> tuple[Picture, ...]:
    parts = result if isinstance(result, tuple) else (result,)
    promises.kept(
        len(parts) in (1, 2) and all(isinstance(part, np.ndarray) for part in parts),
        f"has to return an image, or an image and a mask, not {_described(result)}",
    )
    damaged = parts[0]
    promises.kept(
        damaged.shape == image.shape and damaged.dtype == np.uint8,
        f"makes {_described(damaged)} of {_described(image)}; shape and dtype have to stay",
    )
    promises.kept(
        not np.may_share_memory(damaged, image), "returns its input's memory; it has to copy"
    )
    for mask in parts[1:]:
        _check_mask(promises, mask, image)
    return parts


def check_baseline(baseline: Callable[..., Picture]) -> None:
    """Same shape and dtype, what it is given left alone, one answer, any size, view and thread.

    One that asks for `mask` also has to take a mask that marks nothing, and one that marks all.

    Raises:
        AssertionError: says which promise of `frx.Baseline` is broken.
    """
    promises = Promises.made_by(baseline)
    for height, width in SIZES:
        given = f"an image of {width} × {height}"

        def made(
            degraded: Picture, mask: Picture, given: str = given, of: Any = baseline
        ) -> Picture:
            with promises.no_error(given), promises.no_global_randomness():
                result: Any = call(of, {"degraded": degraded, "mask": mask})
            promises.kept(
                isinstance(result, np.ndarray)
                and result.shape == degraded.shape
                and result.dtype == np.uint8,
                f"makes {_described(result)} of {_described(degraded)}; shape and dtype have to "
                "stay",
            )
            return np.asarray(result)

        image, mask = _image(height, width), _sample(height, width)["mask"]
        before = image.copy(), mask.copy()
        first = made(image, mask)
        promises.kept(_same(before, (image, mask)), "changes the pictures it is given")
        promises.kept(
            not np.may_share_memory(first, image), "returns its input's memory; it has to copy"
        )
        image.flags.writeable = mask.flags.writeable = False
        promises.kept(
            np.array_equal(made(image, mask, f"{given} that is read-only"), first),
            "gives two results for one picture: it keeps something between calls, or draws",
        )
        with promises.no_error(f"{given} in several threads"):
            beside = list(on_all_cores(partial(made, image), [mask] * 8))
        promises.kept(
            all(np.array_equal(result, first) for result in beside),
            "gives another result where several threads call it",
        )
        for part in (np.s_[:, ::-1], np.s_[4:-4, 2:-2]):
            promises.kept(
                np.array_equal(
                    made(image[part], mask[part], f"{given} that is not contiguous"),
                    made(image[part].copy(), mask[part].copy()),
                ),
                "gives another result for a view of an image than for a copy of it",
            )
        for level in (0, 255):
            made(image, np.full_like(mask, level), f"{given} and a mask of {level} alone")


def check_augmentation(augmentation: Augmentation) -> None:
    """All pictures varied alike, masks still 0 or 255, decided by the generator alone.

    Raises:
        AssertionError: says which promise of `frx.Augmentation` is broken.
    """
    promises = Promises.made_by(augmentation)
    in_worker = promises.sent_to_worker(augmentation)
    for height, width in SIZES:
        sample = _sample(height, width)
        given = f"pictures of {width} × {height}"
        for seed in SEEDS:

            def varied(
                pictures: Mapping[str, Picture],
                by: Augmentation = augmentation,
                seed: int = seed,
                given: str = given,
            ) -> dict[str, Picture]:
                with promises.no_error(given), promises.no_global_randomness():
                    return by(pictures, np.random.default_rng(seed))

            kept = {name: picture.copy() for name, picture in sample.items()}
            result = varied(sample)
            promises.kept(_same_pictures(sample, kept), "changes the pictures it is given")
            _check_variation(promises, result, sample)
            promises.kept(
                _same_pictures(varied(sample), result),
                "gives two results for one generator: it keeps something between calls, or draws "
                "from elsewhere",
            )
            promises.kept(
                _same_pictures(varied(sample, in_worker), result),
                "gives another result in a data-loading process",
            )
            alone = varied({"clean": sample["clean"]})
            promises.kept(
                _same_pictures(alone, {"clean": result["clean"]}),
                'varies "clean" otherwise when it comes alone',
            )
            views = {name: picture[::-1, ::-1] for name, picture in sample.items()}
            copies = {name: picture.copy() for name, picture in views.items()}
            promises.kept(
                _same_pictures(varied(views), varied(copies)),
                "gives another result for views of pictures than for copies of them",
            )


def _check_variation(
    promises: Promises, result: Mapping[str, Picture], sample: Mapping[str, Picture]
) -> None:
    promises.kept(
        isinstance(result, dict) and set(result) == set(sample),
        f"has to return the pictures {', '.join(sample)} by name, not {_described(result)}",
    )
    clean = result["clean"]
    for name in ("clean", "degraded"):
        picture = result[name]
        promises.kept(
            isinstance(picture, np.ndarray)
            and picture.dtype == np.uint8
            and picture.shape == (*clean.shape[:2], 3),
            f"makes {_described(picture)} of {name!r}; uint8 [H, W, 3] is wanted, all of one size",
        )
    promises.kept(
        np.array_equal(clean, result["degraded"]),
        'varies "degraded" otherwise than "clean", though both came as one picture',
    )
    _check_mask(promises, result["mask"], clean)
    bright = clean.mean(axis=2) > clean.mean()
    agreement = float(np.mean(bright == (result["mask"] > 0)))
    promises.kept(
        max(agreement, 1 - agreement) > 0.85, "moves the mask otherwise than the pictures"
    )


def check_dataset(make: Callable[[], Dataset]) -> None:
    """Unique names, proper pictures, and the same of everything each time it is made.

    Every sample is read: let `make` give a small one.

    Raises:
        AssertionError: says which promise of `frx.Dataset` is broken.
    """
    dataset, again = make(), make()
    promises = Promises.made_by(dataset)
    in_worker = promises.sent_to_worker(dataset)
    count = len(dataset)
    promises.kept(count > 0, "has no sample")
    names = [dataset.name(index) for index in range(count)]
    promises.kept(all(isinstance(name, str) and name for name in names), "has a sample without id")
    promises.kept(len(set(names)) == count, "gives one id to several samples")
    print_ = dataset.fingerprint()
    promises.kept(isinstance(print_, str) and print_, "has an empty fingerprint")
    _check_parts(promises, dataset)
    for index, name in enumerate(names):
        with promises.no_error(f"sample {name}"), promises.no_global_randomness():
            pictures = dataset[index]
        _check_sample(promises, name, pictures)
        for other, where in (
            (dataset, "when it is read again"),
            (again, "when the data set is made again"),
            (in_worker, "in a data-loading process"),
        ):
            promises.kept(
                len(other) == count
                and other.name(index) == name
                and other.fingerprint() == print_
                and _same_pictures(other[index], pictures),
                f"gives another sample, id or fingerprint for {name} {where}",
            )


def _check_sample(promises: Promises, name: str, pictures: Mapping[str, Picture]) -> None:
    promises.kept("clean" in pictures, f'has no picture "clean" in {name}')
    clean = pictures["clean"]
    for role in ("clean", "degraded"):
        picture = pictures.get(role, clean)
        promises.kept(
            picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3,
            f"gives {_described(picture)} as {role!r} of {name}; uint8 [H, W, 3] is wanted",
        )
        promises.kept(picture.shape == clean.shape, f"gives pictures of two sizes for {name}")
    if "mask" in pictures:
        _check_mask(promises, pictures["mask"], clean)


def _check_parts(promises: Promises, dataset: Dataset) -> None:
    count = len(dataset)
    splits = dataset.splits()
    numbers = np.concatenate([np.empty(0, np.int64), *splits.values()])
    promises.kept(
        np.all((numbers >= 0) & (numbers < count)),
        f"has a split with a number not in 0…{count - 1}",
    )
    promises.kept(len(np.unique(numbers)) == len(numbers), "has a sample in two splits")
    groups = dataset.groups()
    promises.kept(
        groups is None or groups.shape == (count,), f"has to give None or {count} group numbers"
    )


def _check_mask(promises: Promises, mask: Picture, image: Picture) -> None:
    promises.kept(
        isinstance(mask, np.ndarray)
        and mask.dtype == np.uint8
        and mask.shape == image.shape[:2]
        and set(np.unique(mask).tolist()) <= {0, 255},
        f"gives {_described(mask)} as the mask of {_described(image)}; uint8 [H, W] of 0 and 255 "
        "is wanted",
    )


def _image(height: int, width: int) -> Picture:
    """Something smooth with a little grain: filters and quantisers leave traces in it."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 5 + c) * np.cos(columns / 7 - c) for c in range(3)]
    grain = np.random.default_rng(height).normal(0, 6, (height, width, 3))
    return np.clip(np.rint(127.5 + 90 * np.stack(waves, axis=2) + grain), 0, 255).astype(np.uint8)


def _sample(height: int, width: int) -> dict[str, Picture]:
    """A picture twice, bright in patches, and the mask of these."""
    patches = np.random.default_rng(width).permutation(64).reshape(8, 8) < 32
    mask = np.kron(patches, np.ones((8, 8), bool))[:height, :width]
    image = np.where(mask[..., None], (230, 200, 180), (20, 30, 40)).astype(np.uint8)
    return {
        "clean": image,
        "degraded": image.copy(),
        "mask": np.where(mask, 255, 0).astype(np.uint8),
    }


def _same(one: tuple[Picture, ...], other: tuple[Picture, ...]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _same_pictures(one: Mapping[str, Picture], other: Mapping[str, Picture]) -> bool:
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {', '.join(value)}" if isinstance(value, dict) else repr(value)
