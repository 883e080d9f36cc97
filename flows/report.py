"""`streetveil report`: what people report, and what becomes of it. Every command is a few lines."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from components.errors import StreetveilError
from flows.terminal import err, errors_in_one_line, out

if TYPE_CHECKING:
    from components.monitoring.user_reports import Report, ReportBook
    from components.settings import Params

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="What people report: faces and plates that are not hidden, and blurs that hide neither.",
)

ReportId = Annotated[str, typer.Argument(help="As `streetveil report list` names it.")]
By = Annotated[str | None, typer.Option(help="Who decides; default: your name on this machine.")]
Reason = Annotated[str | None, typer.Option(help="Why, in one line.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("list", epilog="Example: `streetveil report list`. What is new or confirmed waits for somebody.")
def list_reports(
    all_states: Annotated[bool, typer.Option("--all", help="Those that are fixed or rejected, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what waits, the oldest first."""
    from components.monitoring.user_reports import State

    with errors_in_one_line():
        reports = _book()[0].reports(tuple(State) if all_states else (State.NEW, State.CONFIRMED))
    if as_json:
        typer.echo(json.dumps([asdict(report) for report in reports], indent=2, ensure_ascii=False))
        return
    for report in reports:
        place, since = report.place, datetime.fromtimestamp(report.reported_at)
        box = ",".join(f"{side:g}" for side in (place.x1, place.y1, place.x2, place.y2))
        image = place.image if place.folder is None else f"{place.folder}/{place.image}"
        out.print(
            f"[yellow]{report.state}[/] [bold]{report.id}[/] {place.kind} {place.class_name} at {box}, reported "
            f"{report.times} times since {since:%Y-%m-%d %H:%M}: {escape(image)}",
            highlight=False,
            soft_wrap=True,
        )
    out.print(f"{len(reports)} reports" if reports else "nothing waits", highlight=False)


@app.command(epilog="Example: `streetveil report add data/published 2026-02-28/a.jpg 120,40,160,90`.")
def add(
    published: Annotated[Path, typer.Argument(help="A destination, or a folder of them.")],
    image: Annotated[str, typer.Argument(help="Its path in there, or the id in its EXIF ImageUniqueID.")],
    box: Annotated[str, typer.Argument(help="x1,y1,x2,y2 in px of the upright picture.")],
    class_name: Annotated[str, typer.Option("--class", help="face or license_plate.")] = "face",
    kind: Annotated[str, typer.Option(help="missed or wrong_blur.")] = "missed",
) -> None:
    """Report a place by hand, as somebody has told you of it."""
    from components.detections import CLASS_NAMES
    from components.monitoring.report_repair import place_of
    from components.monitoring.user_reports import Kind

    with errors_in_one_line():
        if class_name not in CLASS_NAMES or kind not in tuple(Kind):
            raise StreetveilError(f"--class is one of {', '.join(CLASS_NAMES)}; --kind one of {', '.join(Kind)}")
        place = place_of(published, image, Kind(kind), class_name, _sides(box))
        report, is_new = _book()[0].add(place)
    typer.echo(f"report {report.id}: {'new' if is_new else f'reported {report.times} times'}")


@app.command(epilog="Example: `streetveil report confirm 3f0c9a12b4de`. The published image is blurred there at once.")
def confirm(report_id: ReportId, by: By = None, reason: Reason = None) -> None:
    """Say that it is so: what was missed is hidden in the published image, and both are labelled next time."""
    with errors_in_one_line():
        book, params = _book()
        report = _repaired(book, book.confirm(report_id, by or getpass.getuser(), reason), params)
    typer.echo(f"report {report.id}: {report.state}{_why_not_fixed(report)}")


@app.command(epilog="Example: `streetveil report reject 3f0c9a12b4de --reason 'a statue'`.")
def reject(report_id: ReportId, by: By = None, reason: Reason = None) -> None:
    """Say that it is not so."""
    with errors_in_one_line():
        report = _book()[0].reject(report_id, by or getpass.getuser(), reason)
    typer.echo(f"report {report.id}: {report.state}")


@app.command(epilog="Run it after an interruption, and after images were blurred anew from their originals.")
def apply() -> None:
    """Hide whatever is confirmed or was fixed and is not hidden in its published image."""
    from components.monitoring.user_reports import State

    failed = 0
    with errors_in_one_line():
        book, params = _book()
        reports = book.reports((State.CONFIRMED, State.FIXED))
        for report in reports:
            try:
                _repaired(book, report, params)
            except StreetveilError as error:
                failed += 1
                err.print(f"[yellow]{report.id}[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
    typer.echo(f"{len(reports) - failed} of {len(reports)} confirmed reports were looked after")
    raise typer.Exit(1 if failed else 0)


@app.command(epilog="Example: `streetveil report export reports.jsonl`, for the next labelling sample.")
def export(file: Annotated[Path, typer.Argument(help="One line of JSON for each confirmed place.")]) -> None:
    """Write confirmed places, with path, x0, y0, x1, y1 and class, for labelling."""
    from components.monitoring.user_reports import export as lines

    with errors_in_one_line():
        text = lines(_book()[0].reports())
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)  # it tells where faces are
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StreetveilError(f"cannot write {file}: {error.strerror}; choose another place") from error
    typer.echo(f"{len(text.splitlines())} places: {file}")


def _book() -> tuple[ReportBook, Params]:
    from components.monitoring.user_reports import ReportBook
    from components.settings import Environment, load_params

    params = load_params()
    return ReportBook(Environment().reports, params.reports.same_place_iou), params


def _repaired(book: ReportBook, report: Report, params: Params) -> Report:
    from components.monitoring.report_repair import repair

    return repair(book, report, params, on_wait=lambda: err.print("waiting for a run over this destination"))


def _why_not_fixed(report: Report) -> str:
    if report.place.kind == "wrong_blur":
        return "; what is hidden is gone, the image stays as it is"
    return "" if report.state == "fixed" else "; its image is not among those published here"


def _sides(box: str) -> tuple[float, ...]:
    try:
        x1, y1, x2, y2 = map(float, box.split(","))
    except ValueError as error:
        raise StreetveilError(f"{box!r} is not x1,y1,x2,y2") from error
    return x1, y1, x2, y2
