"""What a run comes to, and which exit status says so."""

from __future__ import annotations

import pytest

from components.batch.manifest import PUBLISHED, QUARANTINED, Proposal
from components.batch.summary import Summary, summarise
from tests.batch.test_manifest import row


def summary(published: int, **reasons: int) -> Summary:
    """A summary of so many images."""
    rows = [row(f"p{i}", PUBLISHED, decode_ms=float(i)) for i in range(published)]
    rows += [row(f"{reason}{i}", QUARANTINED, reason=reason) for reason, n in reasons.items() for i in range(n)]
    return summarise(rows, finished_before=0, duration_s=2.0, model="m", region="eu", min_published_share=0.99)


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
        [row("a", proposals=proposals)],
        finished_before=3,
        duration_s=1,
        model="m",
        region="eu",
        min_published_share=0.99,
    )
    assert made.objects == {"face": 1, "license_plate": 0}
