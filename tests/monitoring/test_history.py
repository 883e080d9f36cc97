"""What the watch remembers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from components.detection.bundle import Bundle
from components.errors import StreetveilError
from components.monitoring.distributions import DayProfile
from components.monitoring.drift import DriftReport, Finding
from components.monitoring.history import History, own_reference, reference_for
from components.monitoring.reference import REFERENCE_FILE, Reference
from components.registry.models import Registry
from components.settings import Drift

DAY_S = 86_400


def test_days_come_back_in_order_up_to_the_one_that_is_judged(tmp_path: Path) -> None:
    """Later days and those of other versions are left out, and a day that is kept twice counts once."""
    history = History(tmp_path / "drift")
    for day, version in (
        ("2026-02-03", "1"),
        ("2026-02-01", "1"),
        ("2026-02-02", "2"),
        ("2026-02-01", "1"),
        ("2026-02-04", "1"),
    ):
        history.keep(DayProfile(day, version, 1, {}))
    assert [day.day for day in history.days("1", until="2026-02-03")] == ["2026-02-01", "2026-02-03"]


def test_a_damaged_profile_is_named_with_its_remedy(tmp_path: Path) -> None:
    """A file that was cut is an error that says which, and what to do."""
    history = History(tmp_path)
    history.keep(DayProfile("d", "1", 1, {}))
    (tmp_path / "d/profile.json").write_text('{"day": "d"')
    with pytest.raises(StreetveilError, match=r"profile\.json.*delete it"):
        history.days("1", until="z")


def test_one_alarm_is_enough_for_the_cooling_time(tmp_path: Path) -> None:
    """Within it nothing is started again, after it something is, and a damaged memory errs towards retraining."""
    history = History(tmp_path)
    assert not history.is_cooling(1e9, 14)
    history.keep_alarm("d", 1e9)
    assert history.is_cooling(1e9 + 13.9 * DAY_S, 14)
    assert not history.is_cooling(1e9 + 14.1 * DAY_S, 14)
    (tmp_path / "last-alarm.json").write_text("{}")
    assert not history.is_cooling(1e9 + 1, 14)


def test_a_model_without_a_reference_makes_its_own(undisturbed: list[DayProfile], settings: Drift) -> None:
    """Nothing is judged at first; then days that an alarm could be made of stay out; at last it is complete."""
    least, days = settings.least_reference_days, settings.reference_days
    assert own_reference([], undisturbed[: least + 1], settings) == (None, False)
    growing, complete = own_reference([], undisturbed[: least + 2], settings)
    assert growing is not None
    assert (growing.days, complete) == (tuple(undisturbed[:least]), False)
    for known in (days + 2, days + 9):
        fixed, complete = own_reference([], undisturbed[:known], settings)
        assert fixed is not None
        assert (fixed.days, complete) == (tuple(undisturbed[:days]), True)
    assert own_reference([], [replace(undisturbed[0])], settings) == (None, False)


def test_what_a_challenger_has_seen_begins_its_reference(undisturbed: list[DayProfile], settings: Drift) -> None:
    """All nights count, since no day of them is judged; with enough of them the first day as the champion is."""
    least, days = settings.least_reference_days, settings.reference_days
    assert own_reference(undisturbed[: least - 1], undisturbed[least : least + 2], settings) == (None, False)
    nights, after = undisturbed[:least], undisturbed[least : days + 9]
    begun, complete = own_reference(nights, after[:1], settings)
    assert begun is not None
    assert (begun.days, complete) == (tuple(nights), False)
    full, complete = own_reference(nights, after, settings)
    assert full is not None
    assert (full.days, complete) == (tuple(undisturbed[:days]), True)


def test_a_complete_reference_is_stored_with_its_version(
    tmp_path: Path, undisturbed: list[DayProfile], settings: Drift, toy: Bundle
) -> None:
    """Only a complete one is stored, once; from then on it is what every later day is compared with."""
    registry = Registry("toy", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path))
    version = registry.register(toy.files)
    history = History(tmp_path / "drift")
    seen = [replace(day, model_version=version, day=f"{i:03d}") for i, day in enumerate(undisturbed)]
    for night in seen[: settings.reference_days - 1]:
        history.keep_night(night)
    history.keep_night(replace(seen[0], model_version="7"))
    growing = reference_for(version, [], history, registry, settings)
    assert growing is not None
    assert growing.days == tuple(seen[: settings.reference_days - 1])
    assert registry.fetch(version, REFERENCE_FILE) is None
    history.keep_night(seen[settings.reference_days - 1])
    stored = reference_for(version, [], history, registry, settings)
    assert stored == Reference(tuple(seen[: settings.reference_days]))
    history.keep_night(replace(seen[0], images=1))
    assert reference_for(version, seen[40:], history, registry, settings) == stored


def test_the_last_report_comes_back(tmp_path: Path) -> None:
    """Of several days the last one's report is read, whole; one that is damaged is none, and no error."""
    history = History(tmp_path)
    assert history.last_report() is None
    test = Finding("eu/brightness", "psi", 0.3, 0.1, 0.001, 400, 9000, "warning")
    for day in ("2026-02-27", "2026-02-28"):
        history.keep_report(DriftReport(day, "1", "warning", (test,), ("eu/x: too few",)))
    assert history.last_report() == DriftReport("2026-02-28", "1", "warning", (test,), ("eu/x: too few",))
    (tmp_path / "2026-02-28/report.json").write_text("{")
    assert history.last_report() is None
