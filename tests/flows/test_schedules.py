"""The schedules stand in prefect.yaml, and are what the docs promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import StreetveilError
from components.settings import PROJECT_ROOT
from flows.serve import deployments


def test_the_nightly_run_comes_at_one_and_never_twice_at_once() -> None:
    """The deployment that `streetveil serve` serves runs at 01:00 in a named zone, one at a time, others waiting."""
    nightly = next(one for one in deployments(PROJECT_ROOT / "prefect.yaml") if one.name == "nightly")
    assert (nightly.flow_name, nightly.name) == ("daily-blur", "nightly")
    (schedule,) = nightly.schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 1 * * *", "Europe/Berlin")  # type: ignore[union-attr]
    assert nightly.concurrency_limit == 1
    assert nightly.concurrency_options is not None
    assert nightly.concurrency_options.collision_strategy.value == "ENQUEUE"


def test_originals_of_samples_are_erased_every_day() -> None:
    """A deployment of its own erases what is due, whether anybody labels or not."""
    retention = next(one for one in deployments(PROJECT_ROOT / "prefect.yaml") if one.name == "retention")
    (schedule,) = retention.schedules or []
    assert (retention.flow_name, schedule.schedule.cron) == ("retention", "0 4 * * *")  # type: ignore[union-attr]


def test_a_broken_file_is_told_in_one_line(tmp_path: Path) -> None:
    """A prefect.yaml without deployments is an error that names the file and the key."""
    (tmp_path / "prefect.yaml").write_text("name: x\n")
    with pytest.raises(StreetveilError, match=r"prefect\.yaml.*deployments"):
        deployments(tmp_path / "prefect.yaml")
