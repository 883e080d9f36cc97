"""`streetveil status`: how everything stands, on one screen. A few lines that call what does the work."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from components.errors import StreetveilError
from flows.terminal import errors_in_one_line, out

if TYPE_CHECKING:
    from components.monitoring.needs import Need
    from components.monitoring.overview import Overview

EPILOG = (
    "Examples: `streetveil status` · `streetveil status blurred --no-registry` · `streetveil status --json` · "
    "`streetveil status --write-metrics`, every few minutes, for Prometheus (docs/monitoring.md)."
)


def status(
    published: Annotated[
        Path | None,
        typer.Argument(help="A destination, or a folder of them; default: those of the nightly run."),
    ] = None,
    registry: Annotated[
        bool, typer.Option("--registry/--no-registry", help="Ask the registry, too: that takes seconds.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    write_metrics: Annotated[
        bool, typer.Option("--write-metrics", help="Write it to STREETVEIL_METRICS_DIR for Prometheus; print nothing.")
    ] = False,
) -> None:  # fmt: skip
    """Show the last runs, the champion, what waits, and what needs a human."""
    from components.event_log import log_event
    from components.monitoring.needs import needs
    from components.monitoring.overview import overview
    from components.settings import Environment, load_params
    from flows.status_screen import print_status

    with errors_in_one_line():
        params, environment = load_params(), Environment()
        if published is not None and not published.is_dir():
            raise StreetveilError(f"{published} is no folder: name one that runs have written")
        seen = overview(params, environment, published, with_registry=registry)
        wanted = needs(seen, params.monitoring.least_free_share)
        if write_metrics:
            _write(seen, environment.metrics_dir)
    log_event("status.seen", needs=len(wanted))
    if as_json:
        typer.echo(json.dumps(_as_json(seen, wanted), indent=2, ensure_ascii=False))
    elif not write_metrics:
        print_status(out, seen, wanted)


def _write(seen: Overview, folder: Path | None) -> None:
    from components.monitoring.overview_metrics import overview_measures
    from components.monitoring.prometheus import write_textfile

    if folder is None:
        raise StreetveilError("set STREETVEIL_METRICS_DIR to the folder of node_exporter's textfile collector")
    write_textfile(folder, "streetveil-status", overview_measures(seen))


def _as_json(seen: Overview, wanted: list[Need]) -> dict[str, Any]:
    """The overview for scripts."""
    told = asdict(seen)
    told["runs"] = [_run(folder, run) for folder, run in told["runs"]]
    if seen.reports is not None:
        by_state = [
            {"kind": kind, "state": state, "reports": count} for (kind, state), count in seen.reports.by_state.items()
        ]
        told["reports"] = {**told["reports"], "by_state": by_state}
    return {**told, "needs": [asdict(need) for need in wanted]}


def _run(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """A run without the counts behind its quantiles, which nobody reads."""
    figures = {name: told for name, told in run["figures"].items() if name not in ("stage_ms", "confidence")}
    took_s = run["updated_s"] - run["started_s"]
    images_per_s = sum(figures["images"].values()) / took_s if took_s > 0 else 0.0
    return {**run, "folder": str(folder), "figures": figures, "images_per_s": images_per_s}
