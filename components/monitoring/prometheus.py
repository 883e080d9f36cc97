"""What the service counts, in the format that Prometheus reads. Nothing here knows a picture, a path or a token."""

from __future__ import annotations

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

from components.monitoring.user_reports import ReportCounts

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_FIX_QUANTILES = (0.5, 0.95, 1.0)


class ServiceMetrics:
    """The counters of one service."""

    def __init__(self) -> None:
        kept = self._registry = CollectorRegistry()
        ProcessCollector(registry=kept)
        self._requests = Counter(
            "streetveil_requests", "Requests by route and status.", ["route", "status"], registry=kept
        )
        self._request_s = Histogram(
            "streetveil_request_seconds", "First byte to last, by route.", ["route"], buckets=_SECONDS, registry=kept
        )
        self._refused = Counter("streetveil_refused", "Requests not served, by reason.", ["reason"], registry=kept)
        self._stage_s = Histogram(
            "streetveil_stage_seconds", "Work on one picture, by stage.", ["stage"], buckets=_SECONDS, registry=kept
        )
        self._objects = Counter(
            "streetveil_hidden_objects", "What was hidden, by class and by whom.", ["class", "by"], registry=kept
        )
        self._under_way = Gauge(
            "streetveil_requests_under_way", "Requests that upload, wait or are worked on.", registry=kept
        )
        self._waiting = Gauge("streetveil_pictures_waiting", "Pictures that wait for a worker.", registry=kept)
        self._reports = Gauge("streetveil_reports", "User reports by kind and state.", ["kind", "state"], registry=kept)
        self._fix_s = Gauge(
            "streetveil_report_fix_seconds", "From report to fix, of those fixed.", ["quantile"], registry=kept
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """A request was not served, for a reason of a fixed list."""
        self._refused.labels(reason).inc()

    def picture(self, stage_ms: dict[str, float], hidden: list[tuple[str, str]]) -> None:
        """A picture was blurred; `hidden` has the class of each object and who has found it."""
        for stage, ms in stage_ms.items():
            self._stage_s.labels(stage).observe(ms / 1000)
        for class_name, by in hidden:
            self._objects.labels(class_name, by).inc()

    def under_way(self, requests: int) -> None:
        """So many requests upload, wait or are worked on."""
        self._under_way.set(requests)

    def text(self, reports: ReportCounts, waiting: int) -> bytes:
        """Everything, in Prometheus' text format, with the reports and the queue as they are now."""
        self._waiting.set(waiting)
        for (kind, state), count in reports.by_state.items():
            self._reports.labels(kind, state).set(count)
        for share in _FIX_QUANTILES if reports.fix_s else ():
            self._fix_s.labels(str(share)).set(float(np.quantile(reports.fix_s, share)))
        return generate_latest(self._registry)
