"""Whether a day still looks like those of the reference.

A distribution's distance from the reference says little by itself: days differ. So each reference day's distance from
the other ones tells what is usual, and the day's own is judged by that. Both distances are sums of squares of what
differs, or its absolute value, so that the cube root of the PSI, like that of a χ² (Wilson & Hilferty 1931), and the
Wasserstein distance to the power of 2/3 are close to normal; Student's t predicts where the next one lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from components.errors import StreetveilError
from components.monitoring.distances import Numbers
from components.monitoring.distributions import DayProfile, grid_of
from components.monitoring.reference import Reference, Usual
from components.settings import Drift

Level = Literal["none", "warning", "alarm"]
_TO_NORMAL = {"psi": 1 / 3, "wasserstein": 2 / 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """One distribution's distance from the reference.

    Attributes:
        name: of the distribution, region/quantity or region/class/quantity.
        statistic: "psi" or "wasserstein".
        distance: of the day; the Wasserstein distance in standard deviations of the reference.
        usual: up to which distance no day of the reference's kind is expected, given how many tests there are.
        p_value: of the distance, after Holm's correction for all tests of the day (Holm 1979).
        values, reference_values: how many the day and the reference have.
        level: what it comes to.
    """

    name: str
    statistic: str
    distance: float
    usual: float
    p_value: float
    values: int
    reference_values: int
    level: Level = "none"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What a day's comparison came to.

    Attributes:
        day: its name.
        model_version: whose distributions they are.
        level: the highest of all tests. Where nothing could be tested, a warning: nobody knows.
        tests: all, most conspicuous first.
        skipped: what could not be tested, each with the reason.
    """

    day: str
    model_version: str
    level: Level
    tests: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The tests that warn or alarm."""
        return tuple(test for test in self.tests if test.level != "none")


def compare(reference: Reference, current: DayProfile | Sequence[DayProfile], settings: Drift) -> DriftReport:
    """Compare a day with the reference.

    A warning is a distribution that is surely and noticeably apart; an alarm is one that is farther apart, and has been
    on each of the last `alarm_days` days.

    Args:
        reference: of the model version that looked at the day.
        current: the day, or the days up to it, oldest first. Without the days before it a day can warn, not alarm.
        settings: what counts.

    Raises:
        StreetveilError: another model version looked at the day.
    """
    days = [current] if isinstance(current, DayProfile) else list(current)
    day = days[-1]
    if day.model_version != reference.model_version:
        raise StreetveilError(
            f"model version {day.model_version} looked at {day.day}, the reference is of version "
            f"{reference.model_version}: compare with that version's own"
        )
    last = [day for day in days[-settings.alarm_days :] if day.model_version == reference.model_version]
    results = [_tests(reference, day, settings) for day in last]
    tests, skipped = results[-1]
    lasting = _lasting([tests for tests, _ in results], settings)
    judged = sorted((replace(test, level=_level(test, lasting, settings)) for test in tests), key=_conspicuous)
    levels: set[Level] = {test.level for test in judged}
    highest: Level = "alarm" if "alarm" in levels else "warning" if "warning" in levels or not judged else "none"
    return DriftReport(day.day, day.model_version, highest, tuple(judged), tuple(skipped))


def _tests(reference: Reference, day: DayProfile, settings: Drift) -> tuple[list[Finding], list[str]]:
    """Every distribution by both statistics, and what could not be tested."""
    usual: dict[str, Usual] = {}
    skipped = [f"{name}: the reference lacks it" for name in sorted(day.counts.keys() - set(reference.names()))]
    for name in reference.names():
        values = sum(day.counts.get(name, ()))
        of_days = reference.counts(name, settings.least_values)
        if values < settings.least_values:
            skipped.append(f"{name}: {values} values, fewer than {settings.least_values}")
        elif len(of_days) < settings.least_reference_days:
            skipped.append(f"{name}: {len(of_days)} days in the reference, fewer than {settings.least_reference_days}")
        else:
            usual[name] = Usual(of_days, grid_of(name).positions)
    alpha = settings.error_rate / max(1, len(_TO_NORMAL) * len(usual))
    tests = [
        _test(name, usual[name], statistic, day, settings.alike_days, alpha)
        for name in usual
        for statistic in _TO_NORMAL
    ]
    corrected = holm(np.array([test.p_value for test in tests]))
    return [replace(test, p_value=float(p)) for test, p in zip(tests, corrected, strict=True)], skipped


def _test(name: str, usual: Usual, statistic: str, day: DayProfile, alike_days: int, alpha: float) -> Finding:
    """One test, not yet corrected for the others.

    The prediction interval of a next value, mean ± t · s · √(1 + 1/n), n being how many days count as independent.
    """
    from scipy import stats  # takes a second to import, and reports are read where nothing is tested

    power = _TO_NORMAL[statistic]
    counts = np.array(day.counts[name])
    distance = float(usual.distance(statistic, counts, usual.pool))
    known = usual.distances(statistic, int(counts.sum())) ** power
    independent = len(usual.days) / alike_days
    scale = max(float(known.std(ddof=1)) * np.sqrt(1 + 1 / independent), 1e-9)
    freedom = independent - 1
    p_value = float(stats.t.sf((distance**power - known.mean()) / scale, freedom))
    limit = float(known.mean() + scale * stats.t.isf(alpha, freedom))
    sizes = int(counts.sum()), int(usual.pool.sum())
    return Finding(name, statistic, distance, limit ** (1 / power), p_value, *sizes)


def holm(p_values: Numbers) -> Numbers:
    """p-values corrected for their number, so that the chance of any false one is kept (Holm 1979).

    Args:
        p_values: [n].

    Returns:
        [n], in the same order.
    """
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _is_beyond(test: Finding, settings: Drift, least: Mapping[str, float]) -> bool:
    return test.p_value < settings.error_rate and test.distance >= least[test.statistic]


def _lasting(tests: Sequence[Sequence[Finding]], settings: Drift) -> set[str]:
    """The distributions that were far apart on each of the last days, by either statistic."""
    if len(tests) < settings.alarm_days:
        return set()
    least = settings.alarm.model_dump()
    return set.intersection(*({test.name for test in of_day if _is_beyond(test, settings, least)} for of_day in tests))


def _level(test: Finding, lasting: set[str], settings: Drift) -> Level:
    if not _is_beyond(test, settings, settings.warning.model_dump()):
        return "none"
    may_alarm = test.name.rsplit("/", 1)[-1] not in settings.never_alarming
    far = _is_beyond(test, settings, settings.alarm.model_dump())
    return "alarm" if may_alarm and far and test.name in lasting else "warning"


def _conspicuous(test: Finding) -> tuple[int, float, str]:
    return ("alarm", "warning", "none").index(test.level), test.p_value, test.name
