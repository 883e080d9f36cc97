"""The page shows the distributions that were counted, and the verdict that was given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.monitoring.distributions import GRIDS, DayProfile
from components.monitoring.drift import DriftReport, compare
from components.monitoring.drift_report import drawn, write_page
from components.monitoring.reference import Reference
from components.settings import Drift


@settings(max_examples=30)
@given(st.sampled_from(sorted(GRIDS)), st.lists(st.integers(0, 50), min_size=31, max_size=31).filter(any))
def test_drawn_values_are_distributed_as_the_counts(quantity: str, some: list[int]) -> None:
    """Counted again on the same grid, a thousand drawn values have the shares of the counts, to two thousandths."""
    grid = GRIDS[quantity]
    counts = np.array(some + [0] * (len(grid.positions) - 31))[: len(grid.positions)]
    again = grid.count(drawn(counts, f"eu/{quantity}"))
    assert np.abs(again / again.sum() - counts / counts.sum()).max() <= 0.002


def test_a_page_without_a_test_still_says_why(reference: Reference, tmp_path: Path) -> None:
    """Where nothing could be compared the page has the reasons, and names are text and never markup."""
    report = DriftReport("<b>", "1", "warning", (), ("eu/brightness: 5 values, fewer than 300",))
    write_page(reference, reference.days[0], report, tmp_path / "day/drift.html")
    page = (tmp_path / "day/drift.html").read_text()
    assert "eu/brightness: 5 values, fewer than 300" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


@pytest.mark.slow
def test_evidentlys_page_carries_our_verdict_on_top_of_all_distributions(
    reference: Reference, undisturbed: list[DayProfile], settings: Drift, tmp_path: Path
) -> None:
    """The verdict comes first, every distribution follows, and the page asks no other host for anything."""
    day = undisturbed[-1]
    bright = {**day.counts, "strict/brightness": tuple(np.roll(day.counts["strict/brightness"], 20).tolist())}
    report = compare(reference, replace(day, counts=bright), settings)
    write_page(reference, replace(day, counts=bright), report, tmp_path / "drift.html")
    page = (tmp_path / "drift.html").read_text()
    shown = page.partition("</head>")[2]
    assert shown.index(f"<h1>Drift on {day.day}: warning</h1>") < min(shown.index("<script"), shown.index("<div"))
    assert all(test.name in page for test in report.tests)
    assert 'src="http' not in page
    assert "url(http" not in page
