"""Which day a run is about, and where that day's pictures are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from prefect import runtime

from components.batch.places import Place, place_of
from components.settings import PROJECT_ROOT


def day_before_schedule(timezone: str) -> date:
    """The day before the one that the current flow run was scheduled for, however late it starts.

    A night that takes longer than a day lets the next one wait; that one is still about its own day.
    """
    scheduled: datetime = runtime.flow_run.scheduled_start_time or datetime.now(UTC)
    return scheduled.astimezone(ZoneInfo(timezone)).date() - timedelta(days=1)


def place_for(pattern: str, day: date) -> Place:
    """A place from a pattern in which `{day}` stands for the day; folders may be named relative to the project."""
    place = place_of(pattern.format(day=day.isoformat()))
    return PROJECT_ROOT / place if isinstance(place, Path) else place
