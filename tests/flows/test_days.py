"""A run is about the day that it was scheduled for, not about the day on which it found time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
import yaml

from components.batch.object_store import ObjectStore
from components.batch.shards import Shard
from components.batch.tally import Tally
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Params
from flows import daily_blur as daily_blur_flow  # the flow, which hides its module
from flows import days
from flows.days import day_before_schedule, place_for

DAY = date(2026, 2, 28)


@pytest.mark.parametrize(
    ("scheduled", "timezone", "day"),
    [
        (datetime(2026, 3, 1, 0, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 2, 28)),
        (datetime(2026, 7, 1, 23, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 7, 1)),
        (datetime(2026, 7, 1, 23, 0, tzinfo=UTC), "UTC", date(2026, 6, 30)),
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 28)),
        (datetime(2026, 1, 1, 3, 0, tzinfo=UTC), "America/New_York", date(2025, 12, 30)),
    ],
)
def test_a_run_that_starts_late_is_about_its_own_day(
    monkeypatch: pytest.MonkeyPatch, scheduled: datetime, timezone: str, day: date
) -> None:
    """The day comes from the scheduled time in the schedule's time zone, over changes of clocks too."""
    monkeypatch.setattr(days, "runtime", SimpleNamespace(flow_run=SimpleNamespace(scheduled_start_time=scheduled)))
    assert day_before_schedule(timezone) == day


def test_days_begin_where_the_schedule_is(params: Params) -> None:
    """`daily.timezone` and the nightly schedule's own time zone are one, and a run that comes too early waits."""
    told = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    (nightly,) = [one for one in told["deployments"] if one["name"] == "nightly"]
    assert {schedule["timezone"] for schedule in nightly["schedules"]} == {params.daily.timezone}
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_a_days_place_may_be_a_folder_or_a_prefix() -> None:
    """The pattern's day stands in either, and folders are the project's."""
    assert place_for("data/in/{day}", DAY) == PROJECT_ROOT / "data/in/2026-02-28"
    assert place_for("s3://street/in/{day}", DAY) == ObjectStore("street", "in/2026-02-28/")


class _Task:
    """A task whose runs end when they are asked for, and that says how many were begun and not asked for."""

    def __init__(self, outcomes: Callable[[int], object]) -> None:
        self.outcomes, self.begun, self.ended, self.most_in_flight = outcomes, 0, 0, 0

    def submit(self, *_: object) -> SimpleNamespace:
        number = self.begun
        self.begun += 1
        self.most_in_flight = max(self.most_in_flight, self.begun - self.ended)

        def result(raise_on_failure: bool) -> object:
            self.ended += 1
            return self.outcomes(number)

        return SimpleNamespace(result=result, wait=lambda: None)


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[_Task, Callable[[], Tally]]]:
    """A night of a thousand shards whose tasks come to what they are told."""
    import sys
    from contextlib import nullcontext

    module = sys.modules["flows.daily_blur"]
    assert daily_blur_flow is not None

    def make(outcomes: Callable[[int], object]) -> tuple[_Task, Callable[[], Tally]]:
        task = _Task(outcomes)
        monkeypatch.setattr(module, "blur_shard", task)
        monkeypatch.setattr(module, "wait", lambda futures: None)
        monkeypatch.setattr(module, "open_engine", lambda *_: nullcontext())
        run = SimpleNamespace(order=SimpleNamespace(device="cpu"))
        plan = SimpleNamespace(images_left=1000, shards=(Shard(str(i), ()) for i in range(1000)))
        return task, lambda: module._blur_shards(run, plan, None, "local", 1)

    return make


def test_few_shards_are_in_flight_whatever_the_day_holds(night: Callable) -> None:
    """The plan is read as shards end: a day of any size never stands in a queue."""
    task, blur = night(lambda number: Tally(published=1))
    assert blur().published == 1000
    assert (task.begun, task.ended, task.most_in_flight) == (1000, 1000, 2)


def test_a_shard_that_fails_leaves_the_others_their_turn_and_the_night_fails(night: Callable) -> None:
    """Every other shard is still done, and then the first error is the night's."""
    task, blur = night(lambda number: StreetveilError(f"shard {number}") if number in (5, 500) else Tally(published=1))
    with pytest.raises(StreetveilError, match="shard 5"):
        blur()
    assert task.ended == 1000


def test_a_cause_that_is_no_shards_own_ends_the_night_soon(night: Callable) -> None:
    """Where three shards fail one after the other, the thousand that follow are not tried."""
    task, blur = night(lambda number: StreetveilError("the store") if number >= 10 else Tally(published=1))
    with pytest.raises(StreetveilError, match="the store"):
        blur()
    assert task.begun <= 15
