"""What `streetveil blur --profile` says of a run."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from components.batch.profile import profile_of
from components.batch.summary import Summary


def print_profile(console: Console, summary: Summary, workers: int) -> None:
    """Where the workers' time went, and what to do about the most of it."""
    profile = profile_of(summary, workers)
    if not profile.images:
        console.print("nothing was published in this run, so there is no profile", highlight=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("stage", "share", "s", "ms an image"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage, spent_s in profile.stage_s.items():
        mean_ms = f"{spent_s * 1000 / profile.images:.1f}"
        table.add_row(stage, f"{profile.share(stage):.1%}", f"{spent_s:.2f}", mean_ms)
    console.print(table)
    console.print(f"[bold]bottleneck:[/] {profile.bottleneck}: {profile.remedy}", highlight=False, soft_wrap=True)


def profile_json(summary: Summary, workers: int) -> dict[str, Any]:
    """The profile for scripts."""
    profile = profile_of(summary, workers)
    shares = {stage: profile.share(stage) for stage in profile.stage_s}
    return {"stage_share": shares, "bottleneck": profile.bottleneck, "remedy": profile.remedy}
