"""Watching a run from the side: its record, its metrics and its log, after every shard. No run ever fails of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow
from components.batch.places import name_of
from components.batch.plan import Plan
from components.batch.run import Run
from components.errors import StreetveilError
from components.event_log import log_event, log_failure
from components.monitoring.prometheus import write_textfile
from components.monitoring.run_figures import RunFigures, figures_of
from components.monitoring.run_metrics import run_measures
from components.monitoring.run_record import Kind, RunRecord, count_states, keep_record, was_finished
from components.settings import Environment


class RunWatch:
    """What is known of one run; several threads may tell it of their shards.

    Args:
        run: the open run.
        kind: the nightly run, or somebody's folder.
        fallback_reason: why @previous is used; None if @champion is.
        metrics: the folder of Prometheus' text files; None writes none.
    """

    def __init__(self, run: Run, kind: Kind, fallback_reason: str | None, metrics: Path | None) -> None:
        self._run, self._metrics = run, metrics
        self._lock = threading.RLock()
        self._idle = False  # nothing to do where all was done: the record of who has done it stays
        order, now = run.order, time.time()
        region = order.params.region_words(order.region_name)
        self.record = RunRecord(
            kind, name_of(run.destination), order.bundle.version, region, now, now,
            fallback_reason=fallback_reason,
        )  # fmt: skip
        log_event("run.started", run=kind, day=self.record.day, region=region,
                  model_version=order.bundle.version)  # fmt: skip
        if fallback_reason:
            log_event("run.fallback", "error", run=kind, model_version=order.bundle.version)

    def planned(self, plan: Plan) -> None:
        """The plan stands."""
        log_event("run.planned", run=self.record.kind, images=plan.images_left, finished_before=plan.finished_before,
                  shards=plan.shard_count)  # fmt: skip
        self._idle = not plan.images_left and was_finished(self._run.storage)
        self._keep(planned=plan.images_left, finished_before=plan.finished_before)

    def committed(self, rows: Sequence[ImageRow]) -> None:
        """A shard counts."""
        figures = figures_of(rows)
        log_event("shard.committed", **_told(self.record.kind, figures))
        for reason, count in sorted(figures.quarantined.items()):
            log_event("images.quarantined", "warning", run=self.record.kind, reason=reason, images=count)
        with self._lock:
            self._keep(figures=self.record.figures.plus(figures))

    def finished(self) -> None:
        """Every image has its end state."""
        record, least = self.record, self._run.order.params.batch.min_published_share
        share = record.figures.published_share
        if share is not None and share < least:
            error = f"only {share:.1%} of the decodable images were published (batch.min_published_share: {least:.0%})"
            self._keep(state="failed", error=error, whole=self._whole())
            log_event("run.failed", "error", error="TooFewPublished", **self._figures())
        else:
            self._keep(state="finished", whole=self._whole())
            log_event("run.finished", **self._figures())

    def failed(self, error: BaseException) -> None:
        """The run ends before its work is done."""
        state = "failed" if isinstance(error, Exception) else "interrupted"
        told = str(error) if isinstance(error, StreetveilError) else f"{type(error).__name__}: {error}"
        self._keep(state=state, error=" ".join(told.split()))
        log_failure("run.failed", error, state=state, **self._figures())

    def _figures(self) -> dict[str, Any]:
        record = self.record
        took_s = record.updated_s - record.started_s
        return {**_told(record.kind, record.figures), "images_per_s": record.images_per_s, "duration_s": took_s}

    def _whole(self) -> dict[str, int]:
        """Every image of the destination; only where earlier runs were over it, manifests have to be read."""
        if not self.record.finished_before:
            return dict(self.record.figures.images)
        with contextlib.suppress(StreetveilError):  # a manifest that cannot be read is an audit's business
            return count_states(self._run.storage)
        return dict(self.record.figures.images)

    def _keep(self, **changes: Any) -> None:
        if self._idle:
            return
        with self._lock:
            self.record = replace(self.record, updated_s=time.time(), **changes)
            try:
                keep_record(self._run.storage, self.record)
                if self._metrics is not None:
                    write_textfile(self._metrics, f"streetveil-run-{self.record.kind}", run_measures(self.record))
            except (OSError, StreetveilError) as error:
                log_failure("metrics.failed", error, run=self.record.kind)


@contextmanager
def watch_run(run: Run, kind: Kind, fallback_reason: str | None = None) -> Iterator[RunWatch]:
    """Watch a run for the time of the block, and note how it ends."""
    watch = RunWatch(run, kind, fallback_reason, Environment().metrics_dir)
    try:
        yield watch
    except BaseException as error:
        watch.failed(error)
        raise
    watch.finished()


def _told(kind: Kind, figures: RunFigures) -> dict[str, Any]:
    return {
        "run": kind,
        "images": figures.total,
        "published": figures.images.get(PUBLISHED, 0),
        "quarantined": figures.images.get(QUARANTINED, 0),
        "faces": figures.objects.get("face", 0),
        "license_plates": figures.objects.get("license_plate", 0),
    }
