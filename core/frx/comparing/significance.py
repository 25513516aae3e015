"""Whether scores over the same images differ by more than the choice of these images explains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from frx.scoring.intervals import mean_interval

Scores = NDArray[np.float64]

LEVEL = 0.05
# With fewer, Wilcoxon's smallest possible p is 2 / 2⁵ = 0.0625: nothing could be significant.
FEWEST_IMAGES = 6


@frozen
class Difference:
    """How far the mean score of one row lies above another's, over the same images.

    `low` and `high` bound the 95 % interval of `mean` (`frx.intervals`); NaN for a single image.
    `p` is of Wilcoxon's signed-rank test, two-sided; None where too few images differ for one.
    `ranks` is 1 where the ranks, too, speak for a positive difference, −1 for a negative one.
    """

    first: int
    second: int
    mean: float
    low: float
    high: float
    p: float | None
    ranks: int

    @property
    def significant(self) -> bool:
        """Whether test and interval agree that there is a difference, and on its direction.

        They need not: a run that is a little better on most images, and much worse on a few, has
        the ranks on its side and the mean against it.
        """
        if self.p is None or self.p >= LEVEL:
            return False
        return (self.low > 0 and self.ranks > 0) or (self.high < 0 and self.ranks < 0)


def differences(scores: Scores) -> list[Difference]:
    """Compare every two rows of a table, the lower with the upper; `scores` is [images, rows].

    The p-values are not corrected for their number yet (`corrected`). Rows with NaN are passed by.
    """
    complete = [row for row in range(scores.shape[1]) if not np.isnan(scores[:, row]).any()]
    found = []
    for second, first in combinations(complete, 2):
        paired = scores[:, first] - scores[:, second]
        low, high = mean_interval(paired.tolist()) or (math.nan, math.nan)
        p, ranks = signed_rank_test(paired)
        found.append(Difference(first, second, float(paired.mean()), low, high, p, ranks))
    return found


def signed_rank_test(paired: Scores) -> tuple[float | None, int]:
    """Wilcoxon's p for paired differences, two-sided, and the direction of their ranks.

    Differences of 0 are left out; where all are 0, p is 1. Fewer others than `FEWEST_IMAGES` have
    no p.
    """
    from scipy.stats import rankdata, wilcoxon

    differing = paired[paired != 0]
    if not len(differing):
        return (1.0 if len(paired) >= FEWEST_IMAGES else None), 0
    direction = int(np.sign((np.sign(differing) * rankdata(np.abs(differing))).sum()))
    if len(differing) < FEWEST_IMAGES:
        return None, direction
    return float(wilcoxon(differing).pvalue), direction


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for being several (Holm 1979): the smallest is multiplied by their number.

    The next by one less, and so on; none becomes smaller than the one before it, or above 1.
    """
    adjusted = [1.0] * len(p)
    least = 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = least
    return adjusted


def corrected(families: Sequence[Sequence[Difference]]) -> list[list[Difference]]:
    """The same differences, their p-values corrected by `holm` over all families together."""
    tested = [d.p for family in families for d in family if d.p is not None]
    adjusted: Iterator[float] = iter(holm(tested))
    return [
        [d if d.p is None else evolve(d, p=next(adjusted)) for d in family] for family in families
    ]
