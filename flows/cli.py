"""The command line, `streetveil`. Every command is a few lines that call what does the work."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from components.errors import StreetveilError
from components.event_log import is_json, start_json_log
from flows.api import EPILOG as API_EPILOG
from flows.api import api
from flows.backfill_command import EPILOG as BACKFILL_EPILOG
from flows.backfill_command import backfill_command
from flows.capacity import app as capacity
from flows.drift import app as drift
from flows.evaluation import EPILOG, evaluate
from flows.handcount import app as handcount
from flows.label import app as label
from flows.report import app as report
from flows.review import ROLLBACK_EPILOG, rollback
from flows.review import app as review
from flows.status import EPILOG as STATUS_EPILOG
from flows.status import status
from flows.terminal import err as _err
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
quarantine = typer.Typer(no_args_is_help=True, help="Images that were not published, and why.")
app.add_typer(quarantine, name="quarantine")
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


class Device(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Engine(StrEnum):
    """How the images are spread over processors."""

    LOCAL = "local"
    RAY = "ray"


_OR_BUCKET = "or s3://bucket/prefix"
Source = Annotated[str, typer.Argument(help=f"Folder with the originals, {_OR_BUCKET}; never changed.")]
Destination = Annotated[str, typer.Argument(help=f"Folder for the blurred images, {_OR_BUCKET}; the same names.")]
Published = Annotated[str, typer.Argument(help=f"What a run has written: a folder, {_OR_BUCKET}.")]
RegionName = Annotated[str | None, typer.Option("--region", "-r", help="Whose rules apply; default: params.yaml.")]
DeviceChoice = Annotated[Device, typer.Option(help="Where the model runs.")]
Workers = Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Processes; default: one a core.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, without a progress bar.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="Draw the noise from this key (32 bytes, mode 0600) and keep it afterwards."),
]


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
    key_file: KeyFile = None,
    as_json: AsJson = False,
    profile: Annotated[bool, typer.Option(help="Show each stage's share of the time, and the bottleneck.")] = False,
) -> None:
    """Blur a folder of images."""
    _blur(source, destination, region, device, workers, key_file, as_json, engine=engine, profiled=profile)


@app.command(epilog="Example: `streetveil verify blurred`. Exit status 1 if anything is not as it was published.")
def verify(destination: Published, as_json: AsJson = False) -> None:
    """Read every output again and prove that it is what its manifest says."""
    from components.batch.audit import audit

    images = 0

    def count(_: object) -> None:
        nonlocal images
        images += 1

    findings = []
    with _errors_in_one_line():
        for finding in audit(_opened(destination), count):
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


@quarantine.command("list")
def quarantine_list(destination: Published, as_json: AsJson = False) -> None:
    """List every quarantined image with its reason."""
    from components.batch.index import valid_rows
    from components.batch.manifest import QUARANTINED

    with _errors_in_one_line():
        rows = [row for row in valid_rows(_opened(destination)) if row.state == QUARANTINED]
    if as_json:
        typer.echo(
            json.dumps([{"path": row.path, "reason": row.reason, "detail": row.detail} for row in rows], indent=2)
        )
        return
    for row in sorted(rows, key=lambda row: (row.reason or "", row.path)):
        _out.print(
            f"[yellow]{row.reason}[/] {escape(row.path)}: {escape(row.detail or '')}",
            highlight=False,
            soft_wrap=True,
        )
    _out.print(f"{len(rows)} quarantined", highlight=False)


@quarantine.command("show")
def quarantine_show(destination: Published, path: Annotated[str, typer.Argument(help="As `list` names it.")]) -> None:
    """Show all that the manifest knows of one image."""
    from components.batch.lookup import valid_row

    with _errors_in_one_line():
        row = valid_row(_opened(destination), path)
        if row is None:
            raise StreetveilError(
                f"no image {path!r} in the manifests of {destination}: see `streetveil quarantine list`"
            )
    typer.echo(json.dumps(row.to_dict(), indent=2, ensure_ascii=False))


@quarantine.command(
    "retry", epilog="Example: `streetveil quarantine retry photos blurred`, after the cause was mended."
)
def quarantine_retry(
    source: Source,
    destination: Destination,
    paths: Annotated[list[str] | None, typer.Argument(help="Only these; default: all.")] = None,
    region: RegionName = None,
    device: DeviceChoice = Device.AUTO,
    workers: Workers = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Try quarantined images again."""
    from components.batch.index import valid_rows
    from components.batch.manifest import QUARANTINED

    with _errors_in_one_line():
        listed = {row.path for row in valid_rows(_opened(destination)) if row.state == QUARANTINED}
        unknown = set(paths or ()) - listed
        if unknown:
            raise StreetveilError(f"not in quarantine: {', '.join(sorted(unknown))}; see `streetveil quarantine list`")
    _blur(source, destination, region, device, workers, key_file, as_json, frozenset(paths or listed))


def _blur(
    source: str,
    destination: str,
    region: str | None,
    device: Device,
    workers: int | None,
    key_file: Path | None,
    as_json: bool,
    retry: frozenset[str] = frozenset(),
    engine: Engine = Engine.LOCAL,
    profiled: bool = False,
) -> None:
    from components.batch.engines.choice import check_engine
    from components.batch.places import place_of
    from components.batch.run import check_folders
    from components.settings import load_params
    from flows.console import print_summary, run_progress, summary_json
    from flows.one_folder import blur_folder, current_champion, default_workers
    from flows.profile import print_profile, profile_json

    with _errors_in_one_line(), run_progress(_err, shown=not (as_json or is_json()) and _err.is_terminal) as progress:
        params = load_params()
        region_name = params.region(region)[0]
        processes = workers or default_workers(device.value)
        check_engine(engine.value)
        originals, outputs = place_of(source), place_of(destination)
        check_folders(originals, outputs)
        summary = blur_folder(
            originals,
            outputs,
            params,
            region_name,
            current_champion(params, region_name, device.value),
            workers=processes,
            engine=engine.value,
            device=device.value,
            key_file=key_file,
            retry=retry,
            on_plan=progress.planned,
            on_row=progress.row,
            on_wait=progress.waiting,
        )
    if as_json:
        told = summary_json(summary) | ({"profile": profile_json(summary, processes)} if profiled else {})
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print_summary(_out, summary, destination)
        if profiled:
            print_profile(_out, summary, processes)
    raise typer.Exit(summary.exit_status)


def _opened(destination: str):  # type: ignore[no-untyped-def]
    from components.batch.places import place_of, written

    return written(place_of(destination))


if __name__ == "__main__":
    sys.exit(app())
