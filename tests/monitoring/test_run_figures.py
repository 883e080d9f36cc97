"""The figures of a run: they add up, and their quantiles are those of the values."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import Reason
from components.monitoring.distributions import GRIDS
from components.monitoring.run_figures import RunFigures, decisive_confidence, figures_of, quantile
from tests.monitoring.runs import proposal, row


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([None, *Reason]), st.integers(1, 3), st.floats(1, 9e4)), max_size=30),
       st.integers(0, 30))  # fmt: skip
def test_shards_add_up_to_the_run(told: list[tuple[Reason | None, int, float]], cut: int) -> None:
    """However the rows are cut into shards, the sum of their figures is that of all, as JSON, too."""
    rows = [row(i, reason=reason, attempts=attempts, detect_ms=ms) for i, (reason, attempts, ms) in enumerate(told)]
    whole = figures_of(rows)
    parts = figures_of(rows[:cut]).plus(figures_of(rows[cut:]))
    assert parts == RunFigures.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert whole.total == len(rows) == whole.published + sum(whole.quarantined.values())


@settings(deadline=None)
@given(st.lists(st.floats(1.001, 1.3e5), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_within_a_bin_of_the_true_one(values: list[float], share: float) -> None:
    """What is read off the grid is at most one bin away from between the two values around the quantile."""
    grid = GRIDS["latency_ms"]
    told = quantile(grid, grid.count(np.array(values)).tolist(), share)
    lower, higher = (float(np.quantile(values, share, method=way)) for way in ("lower", "higher"))
    bin_of = 2**0.25
    assert told is not None
    assert min(lower, sorted(values)[max(0, int(share * len(values)) - 1)]) / bin_of <= told <= higher * bin_of


def test_nothing_has_no_quantile() -> None:
    """Where nothing was published, no latency and no confidence is made up."""
    figures = figures_of([row(0, reason=Reason.EMPTY)])
    assert figures.stage_quantile_ms("detect", 0.5) is None
    assert figures.confidence_quantile("face", 0.5) is None
    assert figures.published_share is None


def test_deaths_are_counted_once_each() -> None:
    """Three deaths of one file are three lost attempts, one death before a success is one."""
    rows = [row(0, reason=Reason.DECODER_CRASH, attempts=3), row(1, attempts=2), row(2)]
    assert figures_of(rows).lost_attempts == 4


def test_confidence_is_that_of_the_stage_that_decided() -> None:
    """Stage 2 and the secondary check overrule stage 1; a person is sure; what is not hidden does not count."""
    told = [decisive_confidence(proposal(stage)) for stage in (1, 2, 3, 4)]
    assert told == [0.3, 0.6, 0.9, 1.0]
    figures = figures_of([row(0, proposals=(proposal(2), proposal(3, outcome="below_threshold")))])
    assert figures.objects == {"face": 1}
    assert abs((figures.confidence_quantile("face", 0.5) or 0) - 0.6) <= 0.02


def test_faults_of_files_do_not_lower_the_published_share() -> None:
    """A broken file is not the run's fault; a picture that could not be hidden is."""
    assert figures_of([row(0), row(1, reason=Reason.EMPTY)]).published_share == 1
    assert figures_of([row(0), row(1, reason=Reason.STILL_DETECTED)]).published_share == 0.5
