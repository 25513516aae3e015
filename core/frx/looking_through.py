"""Every image of every set read once: which cannot be, and which are in two sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from frx.data import Subset, reason_of
from frx.errors import DataError
from frx.images import shown
from frx.parallel import on_all_cores
from frx.progress import track

NAMED = 5


def warnings(sets: Mapping[str, Subset]) -> Iterator[str]:
    """A sentence for images that are left out, and for each two sets with images in common.

    Images are the same where their pixels are, as the set gives them.

    Raises:
        DataError: names all images that cannot be read, where `data.on_bad` leaves none out.
    """
    seen: dict[bytes, tuple[str, str]] = {}
    common: dict[tuple[str, str], list[str]] = {}
    refused, left_out = list[str](), list[str]()
    for label, subset in sets.items():
        found = on_all_cores(_looked_at(subset), subset.indices.tolist())
        numbers = track(subset.indices.tolist(), label=f"reading {label}")
        for index, (digest, reason) in zip(numbers, found, strict=True):
            name = subset.dataset.name(index)
            if digest is None:
                (refused if subset.on_bad == "error" else left_out).append(reason)
                continue
            other, namesake = seen.setdefault(digest, (label, name))
            if other != label:
                text = f"{shown(name)} is {shown(namesake)}" if name != namesake else shown(name)
                common.setdefault((label, other), []).append(text)
    if refused:
        raise DataError(
            f'{len(refused):,} images cannot be read (data.on_bad = "skip" leaves them out):'
            + _lines(refused)
        )
    if left_out:
        yield f"{len(left_out):,} images are left out:{_lines(left_out)}"
    for (label, other), names in common.items():
        more = ", …" if len(names) > NAMED else ""
        yield (
            f"{len(names):,} images of {label} are in {other}, too, so its scores are too good: "
            f"{', '.join(names[:NAMED])}{more}"
        )


def _looked_at(subset: Subset) -> Callable[[int], tuple[bytes | None, str]]:
    """What gives a digest of a sample's pixels, or the reason why there are none."""

    def look(index: int) -> tuple[bytes | None, str]:
        try:
            clean = subset.dataset[index]["clean"]
        except (DataError, ValueError) as error:
            return None, reason_of(error, subset.dataset.name(index))
        digest = hashlib.blake2b(repr(clean.shape).encode(), digest_size=16)
        digest.update(clean.tobytes())
        return digest.digest(), ""

    return look


def _lines(reasons: Iterable[str]) -> str:
    return "".join(f"\n  {reason}" for reason in reasons)
