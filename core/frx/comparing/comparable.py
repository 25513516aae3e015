"""What of several runs' scores can be compared: the same set, metrics and images, damaged alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from frx.comparing.scored import INPUT, Key, Scored
from frx.errors import DataError, RecipeError
from frx.images import shown
from frx.registry import nearest

# What six written digits and another device's sums may change of one picture's score.
TOLERANCE = 1e-4

WAY_OUT = (
    "score all on the same set with the same seed and damage, such as `frx evaluate RUN --data "
    "photos/ --set seed=42 --set 'degradations=[…]'`, and compare with --evaluation photos"
)


def choose_set(tables: Mapping[Path, Mapping[str, Scored]], wanted: str | None) -> str:
    """Choose the set `wanted`, else "test", else the only one that all runs have.

    Raises:
        RecipeError: a run lacks the one wanted, or there are several and none is.
        DataError: there is none that all have.
    """
    if wanted is not None:
        for run, table in tables.items():
            if wanted not in table:
                raise RecipeError(f"{shown(run)}: no set {wanted!r}; {nearest(wanted, table)}")
        return wanted
    first = next(iter(tables.values()))
    common = [name for name in first if all(name in table for table in tables.values())]
    if not common:
        sets = "; ".join(f"{shown(r)} has {', '.join(t) or 'none'}" for r, t in tables.items())
        raise DataError(f"no set has scores of every run ({sets}); {WAY_OUT}")
    if "test" not in common and len(common) > 1:
        raise RecipeError(f"several sets have scores: choose with --set {' or '.join(common)}")
    return "test" if "test" in common else common[0]


def common_keys(scored: Sequence[Scored], notes: list[str]) -> list[Key]:
    """Metrics and regions that all have, if all measure them in the same way; else a note.

    Metrics of whole sets come last.

    Raises:
        DataError: there is none with scores of single images.
    """
    first = scored[0]
    keys = [key for key in first.values if all(key in each.values for each in scored)]
    keys += [(m, "whole") for m in first.of_set if all(m in each.of_set for each in scored)]
    for metric in dict.fromkeys(metric for metric, _ in keys):
        protocols = sorted({each.protocols[metric] for each in scored})
        if len(protocols) > 1:
            keys = [key for key in keys if key[0] != metric]
            ways = " / ".join(protocols)
            notes.append(f"{metric} is left out, as the runs measure it differently: {ways}.")
    if not any(key in first.values for key in keys):
        metrics = "; ".join(
            f"{shown(each.run)} has {', '.join(each.protocols) or 'none'}" for each in scored
        )
        raise DataError(
            "the runs have no metric of single images in common that they measure alike "
            f"({metrics}); `frx evaluate RUN --set 'metrics=[…]'` scores them again"
        )
    return keys


def common_images(
    found: Sequence[Scored], name: str, keys: list[Key], notes: list[str]
) -> tuple[int, list[Key]]:
    """How many images all have, and which of `keys` these allow; notes say what is left out.

    Raises:
        DataError: no image has scores of all.
    """
    common = set.intersection(*(each.images for each in found))
    left_out = len(set.union(*(each.images for each in found))) - len(common)
    if not common:
        raise DataError(f"the runs have no image of {name} in common; {WAY_OUT}")
    if left_out:
        them = f"{left_out} images are" if left_out > 1 else "1 image is"
        notes.append(f"{them} left out, as not every run has scored them.")
        for metric, _ in [key for key in keys if key not in found[0].values]:
            notes.append(f"{metric} is left out, as it judges all images of a set together.")
        keys = [key for key in keys if key in found[0].values]
    return len(common), keys


def require_same_damage(first: Scored, other: Scored, keys: Iterable[Key], name: str) -> None:
    """Hold two runs' scores of the input on the set `name` against each other.

    Raises:
        DataError: they differ, so the images were not damaged alike.
    """
    if (where := apart(first, other, INPUT, keys)) is None:
        return
    metric, image = where
    here, there = (each.values[metric, "whole"][image][INPUT] for each in (first, other))
    raise DataError(
        f"{shown(first.run)} and {shown(other.run)} did not damage the images of {name} alike: "
        f"{metric} of the input {shown(image)} is {here:g} and {there:g}; {WAY_OUT}"
    )


def apart(first: Scored, other: Scored, what: str, keys: Iterable[Key]) -> tuple[str, str] | None:
    """Find a metric and an image that show that `what` was not the same picture in both.

    None if some metric of the whole picture agrees on every image: that is proof enough, and those
    that are networks vary with the device.
    """
    found = None
    for key in keys:
        here, there = first.values.get(key, {}), other.values.get(key, {})
        shared = [name for name in here if what in here[name] and what in there.get(name, {})]
        if key[1] != "whole" or not shared:
            continue
        differing = (
            name
            for name in shared
            if not math.isclose(
                here[name][what], there[name][what], rel_tol=TOLERANCE, abs_tol=1e-6
            )
        )
        name = next(differing, None)
        if name is None:
            return None
        found = found or (key[0], name)
    return found


def common_baselines(found: Sequence[Scored], keys: Sequence[Key], notes: list[str]) -> list[str]:
    """Those that every run was scored beside, with the same result; else a note."""
    first, *others = found
    labels = [w for w in first.baselines if all(w in other.baselines for other in others)]
    same = [w for w in labels if all(apart(first, o, w, keys) is None for o in others)]
    for label in labels:
        if label not in same:
            notes.append(f"{shown(label)} is left out, as its scores beside the runs differ.")
    return same
