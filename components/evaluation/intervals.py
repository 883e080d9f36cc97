"""How far a figure may be from the truth: 95 % intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

Interval = tuple[float, float]
_RESAMPLES = 1000


def wilson(successes: int, trials: int) -> Interval | None:
    """Wilson's score interval of a proportion (Wilson 1927); None without trials."""
    if not trials:
        return None
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_ratio(rows: pd.DataFrame, above: str, below: str, group: str, seed: int = 7) -> Interval | None:
    """The percentile interval of a ratio of sums, drawn with replacement from groups (Efron 1979).

    Args:
        rows: observations.
        above, below: the columns whose sums are divided.
        group: the column that says which observations belong together, as the pictures of a video do.
        seed: of the draws.
    """
    sums = rows.groupby(group)[[above, below]].sum().to_numpy(float)
    if not len(sums) or not sums[:, 1].sum():
        return None
    draws = np.random.default_rng(seed).integers(len(sums), size=(_RESAMPLES, len(sums)))
    drawn = sums[draws].sum(axis=1)
    ratios = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(ratios[:, 0] / ratios[:, 1], [2.5, 97.5])
    return float(low), float(high)


def gap_interval(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """The interval of a difference of two proportions, the first less the second (Newcombe 1998, method 10).

    Args:
        first, second: successes and trials, of at least one.
    """
    p1, p2 = (successes / trials for successes, trials in (first, second))
    (low1, high1), (low2, high2) = wilson(*first) or (0.0, 1.0), wilson(*second) or (0.0, 1.0)
    below, above = np.hypot(p1 - low1, high2 - p2), np.hypot(high1 - p1, p2 - low2)
    return float(p1 - p2 - below), float(p1 - p2 + above)
