"""The adapter to Prometheus' client: the service's counters, and text files for node_exporter.

Nothing here knows a picture, a path or a token.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from components.errors import Reason, StreetveilError
from components.monitoring.user_reports import ReportCounts

CONTENT_TYPE = CONTENT_TYPE_LATEST
_NAMESPACE = "streetveil"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_FIX_QUANTILES = (0.5, 0.95, 1.0)
_REFUSALS = ("busy", "too_many_requests", "unauthorized", "upload_timeout", "stopping")


class Sample(NamedTuple):
    """A value with the values of its measure's labels."""

    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric with all its samples.

    Attributes:
        name: without the project's own prefix, and without a counter's `_total`.
        told: what it is, for people.
        labels: their names.
        samples: what is known.
        kind: a counter only grows while what it counts goes on.
    """

    name: str
    told: str
    labels: tuple[str, ...]
    samples: Sequence[Sample]
    kind: Literal["counter", "gauge"]

    @classmethod
    def counter(cls, name: str, told: str, labels: tuple[str, ...], samples: Sequence[Sample]) -> Measure:
        """Something that grows."""
        return cls(name, told, labels, samples, "counter")

    @classmethod
    def gauge(cls, name: str, told: str, labels: tuple[str, ...], samples: Sequence[Sample]) -> Measure:
        """Something that goes up and down."""
        return cls(name, told, labels, samples, "gauge")


def report_measures(reports: ReportCounts) -> list[Measure]:
    """What people have reported, and how long fixes took: the service and the nightly machine tell the same."""
    states = [Sample((str(kind), str(state)), count) for (kind, state), count in reports.by_state.items()]
    fixes = [
        Sample((f"{share:g}",), float(np.quantile(reports.fix_s, share)))
        for share in (_FIX_QUANTILES if reports.fix_s else ())
    ]
    oldest = [] if reports.waiting_since_s is None else [Sample((), reports.waiting_since_s)]
    return [
        Measure.gauge("reports", "User reports by kind and state.", ("kind", "state"), states),
        Measure.gauge("report_fix_seconds", "From report to fix, of those fixed.", ("quantile",), fixes),
        Measure.gauge("report_waiting_since_timestamp_seconds", "When the oldest that waits was made.", (), oldest),
    ]


def exposition(measures: Iterable[Measure]) -> bytes:
    """Measures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Told(list(measures)))
    return generate_latest(registry)


def write_textfile(folder: Path, name: str, measures: Iterable[Measure]) -> None:
    """Put measures where node_exporter's textfile collector reads them, whole or not at all.

    Raises:
        StreetveilError: the folder is not there, or cannot be written to.
    """
    target, draft = folder / f"{name}.prom", folder / f".{name}.{os.getpid()}"
    try:
        draft.write_bytes(exposition(measures))
        draft.chmod(0o644)  # node_exporter is another user
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StreetveilError(
            f"cannot write {target}: {error.strerror}; make the folder, or set STREETVEIL_METRICS_DIR to another"
        ) from error


class _Told:
    """Measures as the client library wants to hear of them."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        for measure in self._measures:
            family = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
            metric = family(f"{_NAMESPACE}_{measure.name}", measure.told, labels=measure.labels)
            for labels, value in measure.samples:
                metric.add_metric(labels, value)
            yield metric


class ServiceMetrics:
    """What one service counts.

    Args:
        workers: processes that blur.
        version, region: of the model, and of the rules.
        is_fallback: @previous is used.
    """

    def __init__(self, workers: int = 0, version: str = "", region: str = "", is_fallback: bool = False) -> None:
        kept = self._registry = CollectorRegistry()
        ProcessCollector(registry=kept)
        self._requests = _counter(kept, "requests", "Requests by route and status.", "route", "status")
        self._request_s = _histogram(kept, "request_seconds", "First byte to last, by route.", _SECONDS, "route")
        self._refused = _counter(kept, "refused", "Requests not served, by reason.", "reason")
        for reason in (*Reason, *_REFUSALS):  # from 0 on, so that the first one is a rise
            self._refused.labels(str(reason))
        self._stage_s = _histogram(kept, "stage_seconds", "Work on one picture, by stage.", _SECONDS, "stage")
        self._pictures = _counter(kept, "pictures", "Pictures that were blurred.")
        self._objects = _counter(kept, "hidden_objects", "What was hidden, by class and by whom.", "class", "by")
        self._confidence = _histogram(kept, "confidence", "Of what the model hid, by class.", _CONFIDENCES, "class")
        self._under_way = _gauge(kept, "requests_under_way", "Requests that upload, wait or are worked on.")
        self._waiting = _gauge(kept, "waiting_pictures", "Pictures that wait for a worker.")
        _gauge(kept, "workers", "Processes that blur.").set(workers)
        _gauge(kept, "fallback", "1: @previous is used, since @champion failed its checks.").set(is_fallback)
        _gauge(kept, "model_info", "The model and the rules.", "version", "region").labels(version, region).set(1)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """A request was not served, for a reason of a fixed list."""
        self._refused.labels(reason).inc()

    def picture(self, stage_ms: dict[str, float], hidden: Iterable[tuple[str, str, float]]) -> None:
        """A picture was blurred; `hidden` has the class of each object, who has found it, and how sure that was."""
        self._pictures.inc()
        for stage, ms in stage_ms.items():
            self._stage_s.labels(stage).observe(ms / 1000)
        for class_name, by, confidence in hidden:
            self._objects.labels(class_name, by).inc()
            if by == "model":
                self._confidence.labels(class_name).observe(confidence)

    def under_way(self, requests: int) -> None:
        """So many requests upload, wait or are worked on."""
        self._under_way.set(requests)

    def text(self, reports: ReportCounts, waiting: int) -> bytes:
        """Everything, in Prometheus' text format, with the reports and the queue as they are now."""
        self._waiting.set(waiting)
        return generate_latest(self._registry) + exposition(report_measures(reports))


def _counter(kept: CollectorRegistry, name: str, told: str, *labels: str) -> Counter:
    return Counter(f"{_NAMESPACE}_service_{name}", told, labels, registry=kept)


def _gauge(kept: CollectorRegistry, name: str, told: str, *labels: str) -> Gauge:
    return Gauge(f"{_NAMESPACE}_service_{name}", told, labels, registry=kept)


def _histogram(kept: CollectorRegistry, name: str, told: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"{_NAMESPACE}_service_{name}", told, labels, buckets=buckets, registry=kept)
