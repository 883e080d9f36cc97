"""What a run comes to, and which exit status says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch.manifest import PUBLISHED, QUARANTINED, Proposal
from components.batch.summary import Summary, summarise
from components.batch.tally import Tally, percentiles, tally_of
from tests.batch.test_manifest import row


def summary(published: int, **reasons: int) -> Summary:
    """A summary of so many images."""
    rows = [row(f"p{i}", PUBLISHED, decode_ms=float(i)) for i in range(published)]
    rows += [row(f"{reason}{i}", QUARANTINED, reason=reason) for reason, n in reasons.items() for i in range(n)]
    return summarise(
        tally_of(rows), finished_before=0, duration_s=2.0, model="m", region="eu", min_published_share=0.99
    )


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (summary(5), 0),
        (summary(0), 0),
        (summary(5, decode_refused=5), 3),
        (summary(0, empty=2), 3),
        (summary(199, timeout=1), 3),
        (summary(198, timeout=3), 1),
        (summary(0, internal_error=1), 1),
    ],
)
def test_the_exit_status_tells_published_from_quarantined_from_failed(made: Summary, status: int) -> None:
    """Bad inputs are quarantine; more than one in a hundred lost good inputs is a failure."""
    assert made.exit_status == status


def test_inputs_are_published_or_quarantined_and_nothing_else() -> None:
    """The counts add up, and the latencies are those of the published images."""
    made = summary(101, empty=2, timeout=1)
    assert made.inputs == made.published + sum(made.quarantined.values()) == 104
    assert made.quarantined == {"empty": 2, "timeout": 1}
    assert (made.latency_ms["decode"].p50, made.latency_ms["decode"].p95) == (50.0, 95.0)
    assert made.images_per_s == 52.0


def test_only_blurred_objects_are_counted() -> None:
    """A rejected proposal is not a face."""
    proposals = tuple(
        Proposal("face", 0, 0, 1, 1, 1, 0.5, None, None, outcome) for outcome in ("blurred", "below_threshold")
    )
    made = summarise(
        tally_of([row("a", proposals=proposals)]),
        finished_before=3,
        duration_s=1,
        model="m",
        region="eu",
        min_published_share=0.99,
    )
    assert made.objects == {"face": 1, "license_plate": 0}


@settings(deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(0, 999), max_size=20), max_size=6).filter(any),
    percents=st.lists(st.floats(0, 100), min_size=1, max_size=3),
)
def test_a_run_may_be_added_up_in_parts(groups: list[list[int]], percents: list[float]) -> None:
    """Tallies of parts add up to the tally of the whole, and its percentiles are numpy's."""
    rows = [[row(f"{i}-{j}", decode_ms=float(ms)) for j, ms in enumerate(group)] for i, group in enumerate(groups)]
    tally = sum((tally_of(group) for group in rows), Tally())
    whole = tally_of([one for group in rows for one in group])
    assert tally.spent_s == pytest.approx(whole.spent_s)
    assert replace(tally, spent_s=whole.spent_s) == whole
    expected = np.percentile([float(ms) for group in groups for ms in group], percents)
    assert percentiles(tally.times_ms["decode"], percents) == pytest.approx(expected)


def test_a_tally_does_not_grow_with_the_images() -> None:
    """A hundred times the images, with times of all sizes and reasons of all kinds, keep a tally of bounded size."""
    one = [row(f"{i:05d}", QUARANTINED, reason="empty", detail="x") for i in range(2000)]
    one += [row(f"p{i:05d}", decode_ms=1.001**i) for i in range(2000)]
    tally = sum((tally_of(one) for _ in range(3)), Tally())
    assert (tally.inputs, tally.quarantined["empty"]) == (12_000, 6000)
    assert len(tally.listed) == 1000
    assert len(tally.times_ms["decode"]) < 1000
