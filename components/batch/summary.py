"""What a run comes to, in numbers that a person reads and a script can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from components.batch.manifest import PUBLISHED, ImageRow
from components.detections import CLASS_NAMES
from components.errors import INPUT_FAULTS

EXIT_PUBLISHED, EXIT_FAILED, EXIT_QUARANTINED = 0, 1, 3
_STAGES = ("read", "decode", "detect", "publish", "verify", "write")


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of one stage over a run's published images, ms."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's result.

    Attributes:
        inputs: images that reached their end state in this run; published + quarantined.
        finished_before: images that an earlier run had finished.
        quarantined: number of images by reason.
        objects: number of blurred objects by class.
        latency_ms: by stage.
        published_share: of what could be decoded; None if nothing could.
        fallback_reason: why @previous was used; None if @champion was.
        stage_s: wall time by stage, s, summed over the published images.
    """

    inputs: int
    published: int
    finished_before: int
    quarantined: dict[str, int]
    objects: dict[str, int]
    latency_ms: dict[str, Latency]
    duration_s: float
    images_per_s: float
    model: str
    region: str
    published_share: float | None
    min_published_share: float
    fallback_reason: str | None = None
    quarantine_list: list[tuple[str, str, str]] = field(default_factory=list)
    stage_s: dict[str, float] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """0: all published; 3: some quarantined; 1: too few of the decodable images were published."""
        if self.published_share is not None and self.published_share < self.min_published_share:
            return EXIT_FAILED
        return EXIT_QUARANTINED if self.quarantined else EXIT_PUBLISHED


def summarise(
    rows: Sequence[ImageRow],
    *,
    finished_before: int,
    duration_s: float,
    model: str,
    region: str,
    min_published_share: float,
    fallback_reason: str | None = None,
) -> Summary:
    """The summary of a run from the rows it made."""
    published = [row for row in rows if row.state == PUBLISHED]
    refused = [row for row in rows if row.state != PUBLISHED]
    decodable = len(published) + sum(row.reason not in INPUT_FAULTS for row in refused)
    return Summary(
        inputs=len(rows),
        published=len(published),
        finished_before=finished_before,
        quarantined=dict(Counter(row.reason or "unknown" for row in refused).most_common()),
        objects={name: sum(row.blurred(name) for row in published) for name in CLASS_NAMES},
        latency_ms={stage: _latency(published, stage) for stage in _STAGES} if published else {},
        duration_s=duration_s,
        images_per_s=len(rows) / duration_s if duration_s > 0 else 0.0,
        model=model,
        region=region,
        published_share=len(published) / decodable if decodable else None,
        min_published_share=min_published_share,
        fallback_reason=fallback_reason,
        quarantine_list=sorted((row.path, row.reason or "unknown", row.detail or "") for row in refused),
        stage_s={stage: sum(_values_ms(published, stage)) / 1000 for stage in _STAGES} if published else {},
    )


def region_words(rows: Sequence[ImageRow]) -> str:
    """The regions of a run that left them to the policies, with how many images each got, and how many in doubt."""
    counts = Counter(row.region for row in rows)
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no image"
    in_doubt = sum(row.region_by == "doubt" for row in rows)
    return f"by the policies: {told}" + (f"; {in_doubt} in doubt" if in_doubt else "")


def _latency(rows: Sequence[ImageRow], stage: str) -> Latency:
    return Latency(*(float(value) for value in np.percentile(_values_ms(rows, stage), (50, 95, 99))))


def _values_ms(rows: Sequence[ImageRow], stage: str) -> list[float]:
    return [getattr(row, f"{stage}_ms") or 0.0 for row in rows]
