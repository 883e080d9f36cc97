"""PSI and Wasserstein on counts are what libraries and formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from components.monitoring.distances import merged_bins, psi, wasserstein

_COUNTS = st.lists(st.integers(0, 500), min_size=12, max_size=12).filter(any)
_POSITIONS = np.arange(12) * 0.5


@settings(max_examples=50)
@given(_COUNTS, _COUNTS)
def test_wasserstein_is_scipys_in_standard_deviations(current: list[int], reference: list[int]) -> None:
    """Whatever the counts, the distance is that of the library, divided by the reference's standard deviation."""
    of = np.array(current), np.array(reference)
    values = np.repeat(_POSITIONS, reference)
    expected = wasserstein_distance(_POSITIONS, _POSITIONS, current, reference) / max(values.std(), 0.5)
    assert wasserstein(*of, _POSITIONS) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50)
@given(_COUNTS, _COUNTS)
def test_psi_is_finite_symmetric_and_zero_for_equals(current: list[int], reference: list[int]) -> None:
    """Empty bins make no infinity, neither order nor number of the values counts, and equal shares are no distance."""
    p, q = np.array(current), np.array(reference)
    starts = merged_bins(q)
    assert 1 <= len(starts) <= 11
    assert 0 <= psi(p, q, starts) < np.inf
    assert psi(p, q, starts) == pytest.approx(float(psi(q, p, starts)))
    assert psi(q, q, starts) == 0


def test_psi_of_two_bins_is_the_textbooks() -> None:
    """60:40 against 50:50 is 0.1 · ln 1.2 + 0.1 · ln 1.25."""
    p, q = np.array([60_000, 40_000]), np.array([50_000, 50_000])
    expected = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)
    assert psi(p, q, np.array([0, 1])) == pytest.approx(expected, rel=1e-4)


def test_bins_are_merged_to_tenths_and_heavy_ones_stay_alone() -> None:
    """A hundred even bins become ten; a bin with half of all values shares its bin with none before it."""
    assert list(merged_bins(np.full(100, 7))) == list(range(0, 100, 10))
    heavy = np.array([1, 1, 100, 1, 1, 96])
    assert 2 in merged_bins(heavy)
    assert 5 in merged_bins(heavy)
