"""A run's record as metrics. Labels come from fixed lists: no file, folder, day or place is ever one."""

from __future__ import annotations

from components.batch.manifest import PUBLISHED, QUARANTINED
from components.batch.tally import STAGES
from components.detections import CLASS_NAMES
from components.errors import Reason
from components.monitoring.prometheus import Measure, Sample
from components.monitoring.run_record import STATES, RunRecord

QUANTILES = (0.5, 0.95, 0.99)
_CONFIDENCE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def run_measures(record: RunRecord) -> list[Measure]:
    """Everything that is told of a run; counters begin anew with each one."""
    return [*_counts(record), *_quantiles(record), *_standing(record)]


def _counts(record: RunRecord) -> list[Measure]:
    figures, run = record.figures, record.kind
    images = [Sample((run, state), figures.images.get(state, 0)) for state in (PUBLISHED, QUARANTINED)]
    reasons = [Sample((run, str(reason)), figures.quarantined.get(reason, 0)) for reason in Reason]
    objects = [Sample((run, name), figures.objects.get(name, 0)) for name in CLASS_NAMES]
    lost = [Sample((run,), figures.lost_attempts)]
    return [
        Measure.counter("run_images", "Images with an end state, by it.", ("run", "state"), images),
        Measure.counter("run_quarantined_images", "Images in quarantine, by reason.", ("run", "reason"), reasons),
        Measure.counter("run_hidden_objects", "What was hidden, by class.", ("run", "class"), objects),
        Measure.counter(
            "run_lost_attempts", "How often a worker died of an image, or was stopped with one.", ("run",), lost
        ),
    ]


def _quantiles(record: RunRecord) -> list[Measure]:
    figures, run = record.figures, record.kind
    times = [
        Sample((run, stage, f"{share:g}"), told_ms / 1000)
        for stage in STAGES
        for share in QUANTILES
        if (told_ms := figures.stage_quantile_ms(stage, share)) is not None
    ]
    confidences = [
        Sample((run, name, f"{share:g}"), told)
        for name in CLASS_NAMES
        for share in _CONFIDENCE_QUANTILES
        if (told := figures.confidence_quantile(name, share)) is not None
    ]
    return [
        Measure.gauge(
            "run_stage_seconds", "Wall time of a published image, by stage.", ("run", "stage", "quantile"), times
        ),
        Measure.gauge(
            "run_confidence", "Confidence of what was hidden, by class.", ("run", "class", "quantile"), confidences
        ),
    ]


def _standing(record: RunRecord) -> list[Measure]:
    run = (record.kind,)
    states = [Sample((record.kind, state), float(record.state == state)) for state in STATES]
    info = [Sample((record.kind, record.model_version, record.region), 1)]
    of_info = ("run", "version", "region")
    single = {
        "run_planned_images": ("Images that were left to do at the start.", record.planned or 0),
        "run_waiting_images": ("Images that wait for their turn.", record.left),
        "run_finished_before_images": ("Images that earlier runs had finished.", record.finished_before),
        "run_images_per_second": ("Images with an end state by the time since the start.", record.images_per_s),
        "run_fallback": ("1: @previous is used.", float(record.fallback_reason is not None)),
        "run_started_timestamp_seconds": ("When it was started.", record.started_s),
        "run_updated_timestamp_seconds": ("When it was last heard of.", record.updated_s),
    }  # fmt: skip
    return [
        Measure.gauge("run_state", "1 of the state that the latest run is in.", ("run", "state"), states),
        Measure.gauge("run_model_info", "The model and the rules of the latest run.", of_info, info),
        *(Measure.gauge(name, told, ("run",), [Sample(run, value)]) for name, (told, value) in single.items()),
    ]  # fmt: skip
