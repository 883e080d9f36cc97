"""`streetveil backfill`: the champion looks again at one published folder."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.terminal import err, errors_in_one_line, out

if TYPE_CHECKING:
    from components.batch.backfill import Backfill


class Device(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


HELD_BACK_STATUS = 3
EPILOG = (
    "Example: `streetveil backfill data/published/2026-02-28`. Run it again after an interruption: it goes on. "
    "Exit status: 0 done · 3 files were held back, or could not be looked at · 1 failed."
)


def backfill_command(
    published: Annotated[Path, typer.Argument(help="A folder that `streetveil blur` or the nightly run has written.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Images at most; default: params.yaml.")] = None,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = Device.AUTO,
    workers: Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Default: one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Look again at published images with the champion, and hide what older versions have missed."""
    with errors_in_one_line(), err.status("looking again; an interrupted look goes on when it is called again"):
        told, version = _look_again(published, limit, device, workers)
    if as_json:
        typer.echo(json.dumps(asdict(told), indent=2, ensure_ascii=False))
    else:
        out.print(markdown({published.name: told}, version), highlight=False, soft_wrap=True)
    raise typer.Exit(HELD_BACK_STATUS if told.held_back or told.faults else 0)


def markdown(told: dict[str, Backfill], version: str) -> str:
    """What a run came to, as a person reads it."""
    lines = [
        f"# Looked at again with version {version}",
        "",
        "| archive | images | changed | faces | plates | held back | not readable | left |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in told.items():
        faces, plates = (one.objects.get(key, 0) for key in ("face", "license_plate"))
        counts = (one.images, one.reblurred, faces, plates, len(one.held_back), len(one.faults), one.left)
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    if not told:
        lines.append("| nothing to do | | | | | | | |")
    trouble = [(path, why) for one in told.values() for path, why in (one.held_back | one.faults).items()]
    return "\n".join([*lines, *(f"- `{path}`: {why}" for path, why in trouble[:1000])])


def _look_again(published: Path, limit: int | None, device: Device, workers: int | None) -> tuple[Backfill, str]:
    from components.batch.backfill import Limits, backfill_archive
    from components.settings import load_params
    from flows.one_folder import current_champion, default_workers

    params = load_params()
    bundle = current_champion(params, params.default_region, device.value).bundle
    limits = Limits(limit or params.backfill.max_images, time.monotonic() + 3600 * params.backfill.max_hours)
    processes = workers or default_workers(device.value)
    told = backfill_archive(published, bundle, params, limits, workers=processes, device=device.value)
    return told, bundle.version
