"""The nightly run's report, as Prefect artifacts: a page to read, and tables to sort."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from components.batch.places import Place, name_of
from components.batch.summary import Summary

DAY_EVENT = "streetveil.day.published"  # the drift watch of prefect.yaml starts on it


def publish_report(summary: Summary, source: Place, destination: Place) -> None:
    """Create the artifacts `daily-blur`, `daily-latency` and `daily-quarantine`, and say that the day is published."""
    create_markdown_artifact(
        report_markdown(summary, source, destination), key="daily-blur", description="The run at a glance"
    )
    create_table_artifact(latency_table(summary), key="daily-latency", description="Wall time per image and stage, ms")
    create_table_artifact(
        quarantine_table(summary), key="daily-quarantine", description="What was not published, and why"
    )
    emit_event(
        event=DAY_EVENT,
        resource={"prefect.resource.id": f"streetveil.day.{name_of(destination)}"},
        payload={"published": str(destination)},
    )


def report_markdown(summary: Summary, source: Place, destination: Place) -> str:
    """The report as a person reads it."""
    lines = []
    if summary.fallback_reason:
        lines += ["# FALL-BACK: @previous was used", "", f"> {summary.fallback_reason}", ""]
    per_image = {
        name: count / summary.published if summary.published else 0.0 for name, count in summary.objects.items()
    }
    lines += [
        f"# {summary.published} of {summary.inputs} images published",
        "",
        "| | |",
        "|---|---|",
        f"| quarantined | {sum(summary.quarantined.values())} |",
        f"| finished before | {summary.finished_before} |",
        f"| faces | {summary.objects['face']} ({per_image['face']:.2f} an image) |",
        f"| licence plates | {summary.objects['license_plate']} ({per_image['license_plate']:.2f} an image) |",
        f"| speed | {summary.images_per_s:.2f} images/s over {summary.duration_s:.0f} s |",
        f"| model | {summary.model} |",
        f"| region | {summary.region} |",
        f"| from | `{source}` |",
        f"| to | `{destination}` |",
        "",
        f"Look closer: `streetveil verify {destination}`, `streetveil quarantine list {destination}`.",
    ]
    return "\n".join(lines)


def latency_table(summary: Summary) -> list[dict[str, object]]:
    """One row a stage."""
    return [
        {"stage": stage, "p50": f"{ms.p50:.1f}", "p95": f"{ms.p95:.1f}", "p99": f"{ms.p99:.1f}"}
        for stage, ms in summary.latency_ms.items()
    ] or [{"stage": "no image was published", "p50": "", "p95": "", "p99": ""}]


def quarantine_table(summary: Summary) -> list[dict[str, object]]:
    """One row an image; a thousand at most, the manifests have them all."""
    return [
        {"path": path, "reason": reason, "detail": detail} for path, reason, detail in summary.quarantine_list[:1000]
    ] or [{"path": "none", "reason": "", "detail": ""}]
