"""Drift is seen soon, and not where there is none: a small version of benchmarks/drift.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from benchmarks.drift import CHANGES, days, delay_days, levels
from components.errors import StreetveilError
from components.monitoring.distributions import DayProfile
from components.monitoring.drift import compare, holm
from components.monitoring.reference import Reference, reference_of
from components.settings import Drift
from tests.monitoring.conftest import IMAGES

ALARM = frozenset({"alarm"})


def test_undisturbed_days_raise_no_alarm(undisturbed: list[DayProfile], settings: Drift) -> None:
    """Of 60 days with weather, traffic and weekends none is an alarm, and at most three warn (2 % are allowed)."""
    found = levels(undisturbed, settings)
    assert len(found) == 60
    assert found.count("alarm") == 0
    assert found.count("warning") <= 3


@pytest.mark.parametrize(
    ("change", "at_most_days"), [("fog", 4), ("night", 3), ("camera change", 5), ("slow creep", 45)]
)
def test_a_change_is_an_alarm(change: str, at_most_days: int, settings: Drift) -> None:
    """Each simulated change is told within days, the creep within weeks, and never before it held for two days."""
    stream = days(np.random.default_rng(11), IMAGES, CHANGES[change], settings.reference_days)
    found = levels(list(islice(stream, settings.reference_days + at_most_days)), settings)
    delay = delay_days(found, ALARM)
    assert delay is not None
    assert delay >= settings.alarm_days


def changed(day: DayProfile, *quantities: str) -> DayProfile:
    """A day whose distributions of some quantities are shifted by a quarter of their grid."""
    counts = {
        name: tuple(np.roll(of, len(of) // 4).tolist()) if name.rsplit("/", 1)[-1] in quantities else of
        for name, of in day.counts.items()
    }
    return replace(day, counts=counts)


def following(reference: Reference, undisturbed: Sequence[DayProfile]) -> list[DayProfile]:
    """The two days after the reference's."""
    return list(undisturbed[len(reference.days) : len(reference.days) + 2])


def test_an_alarm_needs_the_same_distribution_on_days_in_a_row(
    reference: Reference, undisturbed: list[DayProfile], settings: Drift
) -> None:
    """One odd day warns; another one with another oddity warns again; only the same twice is an alarm."""
    first, second = following(reference, undisturbed)
    bright, sizes = changed(first, "brightness"), changed(second, "size_px")
    assert compare(reference, bright, settings).level == "warning"
    assert compare(reference, [bright, sizes], settings).level == "warning"
    report = compare(reference, [bright, changed(second, "brightness")], settings)
    assert report.level == "alarm"
    assert {finding.name for finding in report.findings if finding.level == "alarm"} == {"strict/brightness"}
    assert report.tests[0].level == "alarm"
    assert report.tests[0].distance > report.tests[0].usual


def test_a_slow_machine_warns_and_never_retrains(
    reference: Reference, undisturbed: list[DayProfile], settings: Drift
) -> None:
    """No training makes a machine faster: latency alone is a warning, however long it lasts."""
    slow = [changed(day, "latency_ms") for day in following(reference, undisturbed)]
    report = compare(reference, slow, settings)
    assert (report.level, {finding.name for finding in report.findings}) == ("warning", {"strict/latency_ms"})


def test_a_small_distance_is_no_drift_however_sure_it_is(settings: Drift) -> None:
    """Where days of millions hardly differ, what is significant must also be large enough to matter."""
    base = np.full(64, 100_000)
    days_alike = [DayProfile(str(i), "1", 1, {"eu/brightness": tuple(np.roll(base + np.arange(64), i).tolist())})
                  for i in range(28)]  # fmt: skip
    tilted = DayProfile("29", "1", 1, {"eu/brightness": tuple((base + 200 * np.arange(64)).tolist())})
    report = compare(reference_of(days_alike), tilted, settings)
    assert min(test.p_value for test in report.tests) < settings.error_rate
    assert report.level == "none"


def test_what_cannot_be_judged_is_named(reference: Reference, undisturbed: list[DayProfile], settings: Drift) -> None:
    """Too few values, too few reference days and unknown regions are listed; where nothing is left it is a warning."""
    day = undisturbed[-1]
    few = replace(
        day, counts={**day.counts, "strict/brightness": (5,) + (0,) * 63, "eu/brightness": (900,) + (0,) * 63}
    )
    skipped = compare(reference, few, settings).skipped
    assert "strict/brightness: 5 values, fewer than 300" in skipped
    assert "eu/brightness: the reference lacks it" in skipped
    short = Reference(reference.days[:5])
    report = compare(short, day, settings)
    assert (report.level, report.tests) == ("warning", ())
    assert "strict/brightness: 5 days in the reference, fewer than 14" in report.skipped


def test_days_of_another_model_are_not_compared(
    reference: Reference, undisturbed: list[DayProfile], settings: Drift
) -> None:
    """Another version's day is an error, and its days before count for no alarm."""
    first, second = (changed(day, "brightness") for day in following(reference, undisturbed))
    with pytest.raises(StreetveilError, match="reference is of version 1"):
        compare(reference, replace(second, model_version="2"), settings)
    assert compare(reference, [replace(first, model_version="2"), second], settings).level == "warning"


def test_a_small_day_is_measured_by_small_days(reference: Reference, settings: Drift) -> None:
    """Days with a tenth of the images are farther away by chance alone, which is no drift."""
    stream = islice(days(np.random.default_rng(5), IMAGES), 40)
    smaller = settings.model_copy(update={"least_values": 20})
    rng = np.random.default_rng(1)
    found = []
    for day in list(stream)[30:]:
        few = {name: tuple(rng.multinomial(sum(of) // 10, np.array(of) / max(1, sum(of))).tolist())
               for name, of in day.counts.items() if sum(of)}  # fmt: skip
        found.append(compare(reference, replace(day, counts=few), smaller).level)
    assert found.count("none") >= 8


def test_holms_correction_is_the_papers() -> None:
    """The smallest is multiplied by their number, the next by one less, and none falls below the one before it."""
    assert holm(np.array([0.04, 0.01, 0.03, 0.005])) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm(np.array([])).size == 0


def test_a_reference_survives_its_file_and_a_damaged_one_is_told(
    reference: Reference, undisturbed: list[DayProfile]
) -> None:
    """What travels with the model is read back equal; a cut file, another release's and mixed versions are refused."""
    text = reference.to_json()
    assert Reference.from_json(text) == reference
    for broken in (text[:-9], text.replace('"schema_version":1', '"schema_version":2'), "[]", '{"schema_version":1}'):
        with pytest.raises(StreetveilError, match="streetveil drift reference"):
            Reference.from_json(broken)
    with pytest.raises(StreetveilError, match="one model version"):
        reference_of([undisturbed[0], replace(undisturbed[1], model_version="2")])
    with pytest.raises(StreetveilError, match="there are none"):
        reference_of([])
