"""How far two distributions are apart, from their counts: PSI and Wasserstein."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_BINS = 10
_PRIOR = 0.5  # Jeffreys' half a count for each bin, so that an empty one is no infinity


def psi(current: NDArray[Any], reference: NDArray[Any], starts: NDArray[np.intp]) -> Numbers:
    """The population stability index, Σ (p − q) ln(p / q) over merged bins (Siddiqi, Credit Risk Scorecards, 2006).

    Args:
        current, reference: counts [..., k].
        starts: where each merged bin starts, as `merged_bins` gives it.

    Returns:
        [...]; 0 if the shares are equal.
    """
    p, q = (_shares(np.add.reduceat(counts, starts, axis=-1)) for counts in (current, reference))
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def merged_bins(reference: NDArray[Any]) -> NDArray[np.intp]:
    """Where the PSI's bins start on a grid: at most ten, each with about a tenth of the reference or more.

    Args:
        reference: counts [k].
    """
    below = np.concatenate([[0], np.cumsum(reference)[:-1]]) / max(reference.sum(), 1)
    # Half a bin's own share decides to which tenth it belongs, so that one heavy bin takes no neighbour along.
    tenth = np.floor((below + reference / max(reference.sum(), 1) / 2) * _BINS)
    return np.flatnonzero(np.diff(tenth, prepend=-1) > 0)


def wasserstein(current: NDArray[Any], reference: NDArray[Any], positions: Numbers) -> Numbers:
    """The Wasserstein distance of order 1, ∫ |F − G|, in standard deviations of the reference.

    Args:
        current, reference: counts [..., k], of at least one value.
        positions: of the bins, [k].

    Returns:
        [...]; 0 if the shares are equal.
    """
    p, q = (counts / counts.sum(axis=-1, keepdims=True) for counts in (current, reference))
    apart = np.abs(np.cumsum(p - q, axis=-1))[..., :-1] @ np.diff(positions)
    mean = (q @ positions)[..., None]
    spread = np.sqrt((q * (positions - mean) ** 2).sum(axis=-1))
    # Where the reference knows but one value, its grid is the measure.
    return np.asarray(apart / np.maximum(spread, np.diff(positions).min()))


def _shares(counts: NDArray[Any]) -> Numbers:
    with_prior = counts + _PRIOR
    return np.asarray(with_prior / with_prior.sum(axis=-1, keepdims=True))
