"""`streetveil quarantine`: what was not published, why, and what becomes of it. Every command is a few lines."""

from __future__ import annotations

import getpass
import json
from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from components.errors import StreetveilError
from flows.blur import (
    AsJson,
    Destination,
    Device,
    DeviceChoice,
    KeyFile,
    Published,
    RegionName,
    Source,
    Workers,
    run_blur,
)
from flows.terminal import err, errors_in_one_line, out

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Images that were not published, and what becomes of them."
)

Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only these; docs/manifest.md has all.")]


@app.command("list", epilog="Example: `streetveil quarantine list blurred --reason decode_refused`.")
def list_waiting(
    destination: Published,
    reason: Reasons = None,
    all_images: Annotated[bool, typer.Option("--all", help="Those that were discarded, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what waits, by reason."""
    from components.batch.index import valid_rows
    from components.batch.places import place_of, written
    from components.batch.quarantine import waiting

    with errors_in_one_line():
        rows = waiting(valid_rows(written(place_of(destination))), reason or (), all_images)
    if as_json:
        told = [{"path": row.path, "reason": row.reason, "detail": row.detail} for row in rows]
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for row in rows:
        line = f"[yellow]{row.reason}[/] {escape(row.path)}: {escape(row.detail or '')}"
        out.print(line, highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {name}" for name, count in Counter(row.reason for row in rows).most_common())
    out.print(f"{len(rows)} quarantined" + (f": {counts}" if rows else ""), highlight=False)


@app.command(epilog="Example: `streetveil quarantine show blurred street-1/a.jpg`.")
def show(destination: Published, path: Annotated[str, typer.Argument(help="As `list` names it.")]) -> None:
    """Show all that the manifests know of one image: its valid row, and how it came to it."""
    from components.batch.lookup import history
    from components.batch.places import place_of, written
    from components.batch.second_look import HELD_BACK

    with errors_in_one_line():
        storage = written(place_of(destination))
        rows = history(storage, path)
        if not rows:
            raise StreetveilError(
                f"no image {path!r} in the manifests of {destination}: see `streetveil quarantine list`"
            )
    held_back = f"{HELD_BACK}/{path}"
    past = [
        {"committed_ns": committed_ns, "state": row.state, "reason": row.reason, "detail": row.detail}
        for committed_ns, row in rows
    ]
    told = rows[-1][1].to_dict() | {"held_back": held_back if storage.exists(held_back) else None, "history": past}
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


@app.command(epilog="Example: `streetveil quarantine retry photos blurred`, after the cause was mended.")
def retry(
    source: Source,
    destination: Destination,
    paths: Annotated[list[str] | None, typer.Argument(help="Only these; default: all that wait.")] = None,
    reason: Reasons = None,
    region: RegionName = None,
    device: DeviceChoice = Device.AUTO,
    workers: Workers = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Try quarantined images again; those that were discarded only where they are named."""
    from components.batch.index import valid_rows
    from components.batch.places import place_of, written
    from components.batch.quarantine import waiting

    with errors_in_one_line():
        rows = valid_rows(written(place_of(destination)))
        chosen = {row.path for row in waiting(rows, reason or (), discarded=bool(paths))}
        unknown = set(paths or ()) - chosen
        if unknown:
            raise StreetveilError(f"not in quarantine: {', '.join(sorted(unknown))}; see `streetveil quarantine list`")
    run_blur(source, destination, region, device, workers, key_file, as_json, frozenset(paths or chosen))


@app.command(
    epilog="Example: `streetveil quarantine discard blurred street-1/a.jpg --why 'sent twice'`. "
    "`streetveil quarantine retry` with its path takes it back."
)
def discard(
    destination: Published,
    paths: Annotated[list[str], typer.Argument(help="As `list` names them.")],
    why: Annotated[str, typer.Option(help="In one line; it stands in the manifest.")],
    by: Annotated[str | None, typer.Option(help="Who decides; default: your name on this machine.")] = None,
) -> None:
    """Give images up: they stay unpublished, originals stay where they are, and nobody is asked about them again."""
    from components.batch.places import place_of, written
    from components.batch.quarantine import discard as give_up
    from components.monitoring.run_record import recount

    with errors_in_one_line():
        storage = written(place_of(destination))
        rows = give_up(
            storage,
            paths,
            by or getpass.getuser(),
            why,
            lambda: err.print("another run holds this destination: waiting for its end"),
        )
        recount(storage)
    typer.echo(f"{len(rows)} discarded")


@app.command(epilog="Example: `streetveil quarantine desk photos blurred`; every key is told by ?.")
def desk(
    source: Source,
    destination: Destination,
    by: Annotated[str | None, typer.Option(help="Who decides; default: your name on this machine.")] = None,
    region: RegionName = None,
    device: DeviceChoice = Device.AUTO,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; the same each time.")] = 8643,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Look at what waits on a page of this machine alone: draw, publish or discard, until Ctrl-C."""
    from flows.quarantine_desk import run_desk

    with errors_in_one_line():
        run_desk(source, destination, by or getpass.getuser(), region, device, port, open_browser)
