"""What a run looks like on a terminal: progress while it goes on, a summary at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.summary import EXIT_FAILED, Summary

_LISTED = 10  # quarantined files that are named in the summary; `streetveil quarantine list` names all


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.2f} images/s", style="cyan")


class RunProgress:
    """The progress bar of one run, fed by `blur_folder`'s callbacks."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("preparing", total=None, quarantined=0)
        self._quarantined = 0

    def planned(self, left: int, before: int) -> None:
        """The plan stands."""
        self._progress.update(self._task, total=left, description="blurring")

    def row(self, row: ImageRow) -> None:
        """One image has its end state."""
        self._quarantined += row.state != PUBLISHED
        self._progress.update(self._task, advance=1, quarantined=self._quarantined)

    def waiting(self) -> None:
        """Another run holds the destination."""
        self._progress.update(self._task, description="waiting for another run over this destination")


@contextmanager
def run_progress(console: Console, shown: bool) -> Iterator[RunProgress]:
    """A progress bar with images/s and the time left; it leaves no trace."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _ImagesPerSecond(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[quarantined]} quarantined"),
    )
    with Progress(*columns, console=console, transient=True, disable=not shown, speed_estimate_period=120) as progress:
        yield RunProgress(progress)


def print_summary(console: Console, summary: Summary, destination: Path | str) -> None:
    """The closing words of a run."""
    if summary.fallback_reason:
        console.print(
            f"[bold white on red] FALL-BACK [/] @previous was used: {summary.fallback_reason}",
            highlight=False,
        )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("published", f"[green]{summary.published}[/] of {summary.inputs} images")
    if summary.finished_before:
        facts.add_row("finished before", f"{summary.finished_before} images, left as they are")
    facts.add_row("quarantined", _quarantine_line(summary))
    facts.add_row("blurred", f"{summary.objects['face']} faces, {summary.objects['license_plate']} licence plates")
    facts.add_row("speed", f"{summary.images_per_s:.2f} images/s, {summary.duration_s:.1f} s")
    facts.add_row("model", f"{summary.model}, region {summary.region}")
    facts.add_row("where", str(destination))
    console.print(facts, highlight=False)
    for path, reason, detail in summary.quarantine_list[:_LISTED]:
        console.print(f"  [yellow]{reason}[/] {path}: {detail}", highlight=False, soft_wrap=True)
    if len(summary.quarantine_list) > _LISTED:
        rest = sum(summary.quarantined.values()) - _LISTED
        console.print(f"  and {rest} more: streetveil quarantine list {destination}", highlight=False)
    if summary.exit_status == EXIT_FAILED:
        console.print(
            f"[bold red]failed:[/] only {summary.published_share:.1%} of the decodable images were published "
            f"(batch.min_published_share asks for {summary.min_published_share:.0%}); see the reasons above",
            highlight=False,
        )


def summary_json(summary: Summary) -> dict[str, Any]:
    """The summary for scripts."""
    values = asdict(summary)
    values["quarantine_list"] = [
        dict(zip(("path", "reason", "detail"), entry, strict=True)) for entry in summary.quarantine_list
    ]
    return {**values, "exit_status": summary.exit_status}


def _quarantine_line(summary: Summary) -> str:
    if not summary.quarantined:
        return "none"
    reasons = ", ".join(f"{count} {reason}" for reason, count in summary.quarantined.items())
    return f"[yellow]{sum(summary.quarantined.values())}[/] ({reasons})"
