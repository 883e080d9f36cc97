"""The command line, `streetveil`. Every command is a few lines that call what does the work."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

import typer
from rich.markup import escape

from components.event_log import start_json_log
from flows.allow import app as allow
from flows.api import EPILOG as API_EPILOG
from flows.api import api
from flows.backfill_command import EPILOG as BACKFILL_EPILOG
from flows.backfill_command import backfill_command
from flows.blur import (
    AsJson,
    Destination,
    Device,
    DeviceChoice,
    Engine,
    HostThreads,
    KeyFile,
    Published,
    RegionName,
    Source,
    Workers,
    run_blur,
)
from flows.capacity import app as capacity
from flows.drift import app as drift
from flows.evaluation import EPILOG, evaluate
from flows.handcount import app as handcount
from flows.label import app as label
from flows.quarantine import app as quarantine
from flows.report import app as report
from flows.review import ROLLBACK_EPILOG, rollback
from flows.review import app as review
from flows.status import EPILOG as STATUS_EPILOG
from flows.status import status
from flows.terminal import errors_in_one_line as _errors_in_one_line
from flows.terminal import out as _out
from flows.video import EPILOG as VIDEO_EPILOG
from flows.video import video

app = typer.Typer(
    name="streetveil",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Blur every face and licence plate in street imagery, on your own machine.",
    epilog="Exit status: 0 all published · 3 some quarantined · 4 gate not passed · 1 failed. Settings: params.yaml.",
)
app.add_typer(quarantine, name="quarantine")
app.add_typer(allow, name="allow")
app.add_typer(handcount, name="handcount")
app.add_typer(label, name="label")
app.add_typer(drift, name="drift")
app.add_typer(review, name="review")
app.add_typer(report, name="report")
app.add_typer(capacity)

app.command(epilog=EPILOG)(evaluate)
app.command(epilog=ROLLBACK_EPILOG)(rollback)
app.command("backfill", epilog=BACKFILL_EPILOG)(backfill_command)
app.command(epilog=VIDEO_EPILOG)(video)
app.command(epilog=API_EPILOG)(api)
app.command(epilog=STATUS_EPILOG)(status)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streetveil {version('streetveil')}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave."),
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option(envvar="STREETVEIL_LOG_JSON", help="Write a log of JSON lines to stderr, free of personal data."),
    ] = False,
) -> None:
    """Blur every face and licence plate in street imagery, on your own machine."""
    if log_json:
        start_json_log()


@app.command(
    epilog="Examples: `streetveil blur photos blurred` · `streetveil blur photos blurred --region eu --workers 4` · "
    "`streetveil blur photos blurred --json > result.json`. Run it again after an interruption: it goes on."
)
def blur(
    source: Source,
    destination: Destination,
    region: RegionName = None,
    device: DeviceChoice = Device.AUTO,
    workers: Workers = None,
    engine: Annotated[Engine, typer.Option(help="How the work is spread.")] = Engine.LOCAL,
    host_threads: HostThreads = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
    profile: Annotated[bool, typer.Option(help="Show each stage's share of the time, and the bottleneck.")] = False,
) -> None:
    """Blur a folder of images."""
    run_blur(
        source,
        destination,
        region,
        device,
        workers,
        key_file,
        as_json,
        engine=engine,
        profiled=profile,
        host_threads=host_threads,
    )


@app.command(epilog="Example: `streetveil verify blurred`. Exit status 1 if anything is not as it was published.")
def verify(destination: Published, as_json: AsJson = False) -> None:
    """Read every output again and prove that it is what its manifest says."""
    from components.batch.audit import audit
    from components.batch.places import place_of, written

    images = 0

    def count(_: object) -> None:
        nonlocal images
        images += 1

    findings = []
    with _errors_in_one_line():
        for finding in audit(written(place_of(destination)), count):
            findings.append(asdict(finding))
            if not as_json:
                _out.print(f"[red]{escape(finding.path)}[/]: {escape(finding.what)}", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"images": images, "findings": findings}, indent=2))
    else:
        verdict = (
            f"[red]{len(findings)} findings[/]" if findings else "[green]every output is what its manifest says[/]"
        )
        _out.print(f"{images} images: {verdict}", highlight=False)
    raise typer.Exit(1 if findings else 0)


@app.command()
def bootstrap() -> None:
    """Register the shipped detectors as version 1 and champion, on a machine without a model."""
    from components.registry.champion import bootstrap as register_shipped
    from components.registry.models import Registry
    from components.settings import load_params

    with _errors_in_one_line():
        registry = Registry.of(load_params().registry.model_name)
        new = register_shipped(registry)
    where = f"{registry.name} in {registry.tracking_uri}"
    typer.echo(f"registered version {new} of {where} as @champion" if new else f"nothing to do: {where} has a model")


@app.command()
def serve() -> None:
    """Serve all schedules of prefect.yaml from this one process (needs a Prefect server, see docs/operate.md)."""
    from flows.serve import serve_schedules

    with _errors_in_one_line():
        serve_schedules()


if __name__ == "__main__":
    sys.exit(app())
