"""The overview as metrics, for what changes between runs. Labels come from fixed lists."""

from __future__ import annotations

from collections.abc import Iterator

from components.monitoring.overview import Overview
from components.monitoring.prometheus import Measure, Sample, report_measures
from components.monitoring.run_record import KINDS, STATES
from components.registry.standing import Standing

_LEVELS = ("none", "warning", "alarm")


def overview_measures(seen: Overview) -> list[Measure]:
    """Everything that is told of the installation."""
    ended = [
        Sample((kind,), max(times))
        for kind in KINDS
        if (times := [run.updated_s for _, run in seen.runs if (run.kind, run.state) == (kind, "finished")])
    ]
    states = [Sample((state,), sum(run.state == state for _, run in seen.runs)) for state in STATES]
    free = [Sample((disk.what,), disk.free_bytes) for disk in seen.disks]
    sizes = [Sample((disk.what,), disk.size_bytes) for disk in seen.disks]
    return [
        _single("status_timestamp_seconds", "When this was written.", seen.at_s),
        Measure.gauge("success_timestamp_seconds", "When a run last came to its end, by kind.", ("run",), ended),
        Measure.gauge("latest_runs", "The latest days by the state of their run.", ("state",), states),
        _single("waiting_days", "Past days with originals that no run has finished.", len(seen.waiting_days)),
        Measure.gauge("disk_free_bytes", "Of the disk that a folder lies on.", ("folder",), free),
        Measure.gauge("disk_size_bytes", "Of the disk that a folder lies on.", ("folder",), sizes),
        *(_of_registry(seen.standing) if seen.standing else ()),
        *_of_drift(seen),
        *(report_measures(seen.reports) if seen.reports else ()),
    ]


def _of_registry(standing: Standing) -> Iterator[Measure]:
    yield _single("registry_up", "1: the registry answers.", float(standing.problem is None))
    if standing.problem is not None:
        return
    champion = [Sample((standing.champion,), 1)] if standing.champion else []
    yield Measure.gauge("champion_info", "The champion's version.", ("version",), champion)
    if standing.champion_since_s is not None:
        yield _single("champion_since_timestamp_seconds", "When it became champion.", standing.champion_since_s)
    yield _single("waiting_reviews", "Versions that wait for a reviewer.", len(standing.waiting))
    if standing.waiting:
        since_s = min(one.since_s for one in standing.waiting)
        yield _single("review_waiting_since_timestamp_seconds", "When the oldest of them was registered.", since_s)


def _of_drift(seen: Overview) -> Iterator[Measure]:
    if seen.drift is not None:
        levels = [Sample((level,), float(seen.drift.level == level)) for level in _LEVELS]
        yield Measure.gauge("drift_level", "1 of the level of the last day that was compared.", ("level",), levels)
        findings = [Sample((level,), sum(test.level == level for test in seen.drift.tests)) for level in _LEVELS]
        yield Measure.gauge("drift_tests", "Tests of that day, by what they came to.", ("level",), findings)


def _single(name: str, told: str, value: float) -> Measure:
    return Measure.gauge(name, told, (), [Sample((), value)])
