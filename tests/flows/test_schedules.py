"""The schedules stand in prefect.yaml, and are what the docs promise."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, load_params
from flows.daily_report import DAY_EVENT
from flows.drift_watch import ALARM_EVENT
from flows.serve import deployments


def test_the_nightly_run_comes_at_one_and_never_twice_at_once() -> None:
    """The deployment that `streetveil serve` serves runs at 01:00 in a named zone, one at a time, others waiting."""
    nightly = next(served for served in deployments(PROJECT_ROOT / "prefect.yaml") if served.name == "nightly")
    assert nightly.flow_name == "daily-blur"
    (schedule,) = nightly.schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 1 * * *", "Europe/Berlin")  # type: ignore[union-attr]
    assert nightly.concurrency_limit == 1
    assert nightly.concurrency_options is not None
    assert nightly.concurrency_options.collision_strategy.value == "ENQUEUE"


def test_approvals_on_the_mlflow_page_are_looked_for_every_ten_minutes() -> None:
    """The check comes six times an hour, one at a time, and one that comes too early is dropped."""
    check = next(one for one in deployments(PROJECT_ROOT / "prefect.yaml") if one.name == "review-check")
    (schedule,) = check.schedules or []
    assert (check.flow_name, schedule.schedule.cron) == ("review-check", "*/10 * * * *")  # type: ignore[union-attr]
    assert check.concurrency_limit == 1
    assert check.concurrency_options is not None
    assert check.concurrency_options.collision_strategy.value == "CANCEL_NEW"


def test_the_loop_its_watch_and_the_backfill_are_served() -> None:
    """The loop comes on the first of the month and after a drift alarm, one at a time; its watch looks more often."""
    served = {one.name: one for one in deployments(PROJECT_ROOT / "prefect.yaml")}
    crons = {name: [schedule.schedule.cron for schedule in one.schedules or []] for name, one in served.items()}  # type: ignore[union-attr]
    assert crons["monthly"] == ["0 6 1 * *"]
    assert [trigger.expect for trigger in served["monthly"].triggers] == [{"streetveil.drift.alarm"}]  # type: ignore[union-attr]
    assert served["monthly"].concurrency_limit == served["backfill"].concurrency_limit == 1
    assert crons["monthly-watch"] == ["*/10 * * * *"]
    assert crons["backfill"] == ["0 14 * * *"]


def test_the_drift_watch_starts_on_every_published_day() -> None:
    """It has no hours of its own: the nightly run's event starts it each time, with the folder that it names."""
    watch = next(served for served in deployments(PROJECT_ROOT / "prefect.yaml") if served.name == "drift-watch")
    assert (watch.flow_name, watch.schedules) == ("drift-watch", [])
    (trigger,) = watch.triggers
    assert trigger.expect == {DAY_EVENT}
    assert trigger.within.total_seconds() == 0
    assert trigger.parameters == {"published": "{{ event.payload.published }}"}


def test_drift_starts_a_retraining_at_most_once_in_its_cooling_time(tmp_path: Path) -> None:
    """The file's trigger waits for the watch's event, and starts no more often than the settings say."""
    entries = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text())
    alarm = entries["definitions"]["triggers"]["drift_alarm"]
    retraining = entries["deployments"][0] | {"name": "monthly", "entrypoint": "toy.py:toy", "triggers": [alarm]}
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [retraining]}))
    (tmp_path / "toy.py").write_text("from prefect import flow\n\n@flow\ndef toy():\n    pass\n")
    (trigger,) = deployments(tmp_path / "prefect.yaml")[0].triggers
    assert trigger.expect == {ALARM_EVENT}
    assert trigger.threshold == 1
    assert trigger.within == timedelta(days=load_params().drift.cooling_days)


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
