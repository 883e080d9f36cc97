"""Blurring one folder from the command line: its options, its progress, its summary."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.terminal import err, errors_in_one_line, out


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
RegionName = Annotated[str | None, typer.Option("--region", "-r", help="Whose rules apply; default: by params.yaml.")]
DeviceChoice = Annotated[Device, typer.Option(help="Where the model runs.")]
Workers = Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Processes; default: one a core.")]
HostThreads = Annotated[
    int | None,
    typer.Option(min=1, help="Pictures in hand in each process; default: one, with a GPU one for each core."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, without a progress bar.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="Draw the noise from this key (32 bytes, mode 0600) and keep it afterwards."),
]


def run_blur(
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
    host_threads: int | None = None,
) -> None:
    """Blur a folder or a bucket, show how it goes, and leave with its exit status."""
    from components.batch.engines.choice import check_engine, in_hand
    from components.batch.places import place_of
    from components.batch.run import check_folders
    from components.event_log import is_json
    from components.settings import load_params
    from flows.console import print_summary, run_progress, summary_json
    from flows.one_folder import blur_folder, current_champion, default_workers
    from flows.profile import print_profile, profile_json

    with errors_in_one_line(), run_progress(err, shown=not (as_json or is_json()) and err.is_terminal) as progress:
        params = load_params()
        region_name = params.region(region)[0] if region else None
        processes = workers or default_workers(device.value)
        at_work = in_hand(params, device.value, processes, host_threads)
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
            host_threads=host_threads,
            key_file=key_file,
            retry=retry,
            on_plan=progress.planned,
            on_row=progress.row,
            on_wait=progress.waiting,
        )
    if as_json:
        told = summary_json(summary) | ({"profile": profile_json(summary, at_work)} if profiled else {})
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print_summary(out, summary, destination)
        if profiled:
            print_profile(out, summary, at_work)
    raise typer.Exit(summary.exit_status)
