"""What a run comes to, in numbers that a person reads and a script can use."""

from __future__ import annotations

from dataclasses import dataclass, field

from components.batch.tally import STAGES, Tally, percentiles
from components.detections import CLASS_NAMES

EXIT_PUBLISHED, EXIT_FAILED, EXIT_QUARANTINED = 0, 1, 3


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
        quarantine_list: path, reason and detail of the first thousand; the manifests have them all.
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
    tally: Tally,
    *,
    finished_before: int,
    duration_s: float,
    model: str,
    region: str,
    min_published_share: float,
    fallback_reason: str | None = None,
) -> Summary:
    """The summary of a run from the tally of the rows that it made."""
    decodable = tally.inputs - tally.undecodable
    return Summary(
        inputs=tally.inputs,
        published=tally.published,
        finished_before=finished_before,
        quarantined=dict(tally.quarantined.most_common()),
        objects={name: tally.objects[name] for name in CLASS_NAMES},
        latency_ms={stage: Latency(*percentiles(tally.times_ms[stage], (50, 95, 99))) for stage in STAGES}
        if tally.published
        else {},
        duration_s=duration_s,
        images_per_s=tally.inputs / duration_s if duration_s > 0 else 0.0,
        model=model,
        region=region,
        published_share=tally.published / decodable if decodable else None,
        min_published_share=min_published_share,
        fallback_reason=fallback_reason,
        quarantine_list=list(tally.listed),
        stage_s={stage: tally.spent_s[stage] for stage in STAGES} if tally.published else {},
    )


def region_words(tally: Tally) -> str:
    """The regions of a run that left them to the policies, with how many images each got, and how many in doubt."""
    told = ", ".join(f"{count} {name}" for name, count in tally.regions.most_common()) or "no image"
    return f"by the policies: {told}" + (f"; {tally.in_doubt} in doubt" if tally.in_doubt else "")
