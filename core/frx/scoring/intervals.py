"""How far the mean over a set's images can be trusted: bootstrap confidence intervals.

Efron: Bootstrap methods: another look at the jackknife, Annals of Statistics 7 (1), 1979.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
CENTRAL_PERCENT = (2.5, 97.5)
METHOD = (
    "95 %, percentile bootstrap of the mean over images, 2000 resamples; where the data have "
    "groups (such as identities), whole groups are drawn, else images count as independent; "
    "with fewer than 20 it is too narrow"
)
# Resamples are drawn in parts of so many numbers, so that a large set takes no gigabytes.
NUMBERS_AT_ONCE = 2**20


def mean_interval(
    values: Sequence[float], groups: Sequence[int] | None = None
) -> list[float] | None:
    """Return the ends of the 95 % interval of the mean of the values that are not NaN.

    `groups` has a number a value: values of one group are not independent and are drawn together.
    The draws are the same every time. Of ten normal values it holds the truth in 90 % of cases, of
    50 in 95 %. None where there are fewer than two values or groups, or one
    is infinite.
    """
    numbers = np.asarray(values, np.float64)
    there = ~np.isnan(numbers)
    numbers = numbers[there]
    of = np.arange(len(numbers)) if groups is None else np.asarray(groups)[there]
    _, of = np.unique(of, return_inverse=True)
    sizes = np.bincount(of)
    count = len(sizes)
    if count < 2 or not np.isfinite(numbers).all():
        return None
    sums = np.bincount(of, numbers)
    rng = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    step = max(1, NUMBERS_AT_ONCE // count)
    for start in range(0, RESAMPLES, step):
        part = means[start : start + step]
        drawn = rng.integers(count, size=(len(part), count))
        part[:] = sums[drawn].sum(1) / sizes[drawn].sum(1)
    # A mean of equal values may be off by a rounding error.
    low, high = np.clip(np.percentile(means, CENTRAL_PERCENT), numbers.min(), numbers.max())
    return [float(low), float(high)]
