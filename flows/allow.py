"""`streetveil allow`: what may stay visible, by whose word and for how long. Every command is a few lines."""

from __future__ import annotations

import getpass
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from components.errors import StreetveilError
from flows.terminal import err, errors_in_one_line, out

if TYPE_CHECKING:
    from components.batch.exemption_book import Entry, ExemptionBook

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Exemptions: places in pictures that stay visible, each with who, why and until when.",
)

By = Annotated[str | None, typer.Option(help="Who decides; default: your name on this machine.")]


@app.command(
    epilog="Examples: `streetveil allow add blurred street-1/a.jpg 120,40,160,90 --class face --until 2027-01-31 "
    "--why 'a statue'` · `streetveil allow add blurred 'camera-7/*.jpg' 0,900,260,980 --class license_plate --until "
    "2027-01-31 --why 'our own van'`. It holds for what is blurred from now on."
)
def add(
    published: Annotated[str, typer.Argument(help="A destination that has seen the pictures.")],
    pictures: Annotated[str, typer.Argument(help="A path in it, or one camera's folder with a pattern for names.")],
    box: Annotated[str, typer.Argument(help="x1,y1,x2,y2 in px of the upright picture: what lies wholly in it stays.")],
    class_name: Annotated[str, typer.Option("--class", help="What is meant: face or license_plate.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it holds.")],
    why: Annotated[str, typer.Option(help="In one line.")],
    by: By = None,
) -> None:
    """Leave a place visible, by hand; nobody is ever recognised."""
    from components.batch.exemption_desk import granted_for, rows_beside
    from components.batch.places import place_of, written
    from components.detections import CLASS_NAMES
    from components.settings import load_params

    with errors_in_one_line():
        if class_name not in CLASS_NAMES:
            raise StreetveilError(f"--class is one of {', '.join(CLASS_NAMES)}")
        book, limits = _book(), load_params().exemptions
        rows = rows_beside(written(place_of(published)), pictures)
        who, last = by or getpass.getuser(), until.date()
        line = granted_for(rows, pictures, _sides(box), class_name, who, why, last, book.granted(), limits)  # type: ignore[arg-type]
        book.grant(line)
    one_file = "this one file" if line.input_sha256 else f"pictures of {line.width}×{line.height} px"
    typer.echo(f"exemption {line.id}: {line.exemption().area_share:.2%} of {one_file}, until {line.until}")


@app.command("list", epilog="Example: `streetveil allow list --published blurred`, with how often each was used there.")
def list_exemptions(
    published: Annotated[
        list[str] | None, typer.Option(help="A destination, in which uses are counted; as often as needed.")
    ] = None,
    all_states: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """List exemptions, the oldest first."""
    with errors_in_one_line():
        used = _uses(published or [])
        told = [_told(entry, used) for entry in _book().entries()]
    told = [one for one in told if all_states or one["state"] in ("in force", "void")]
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for one in told:
        uses = f", used {one['uses']} times" if published else ""
        out.print(
            f"[yellow]{one['state']}[/] [bold]{one['id']}[/] {one['class_name']} at "
            f"{','.join(f'{side:g}' for side in one['box'])} in {escape(one['pattern'])}, until {one['until']}, "
            f"by {escape(one['by'])}: {escape(one['why'])}{uses}{escape(one['note'])}",
            highlight=False,
            soft_wrap=True,
        )
    out.print(f"{len(told)} exemptions" if told else "nothing is exempt", highlight=False)


@app.command(
    epilog="Example: `streetveil allow end 3f0c9a12b4de blurred --why 'the statue is gone'`. Expired ones, too."
)
def end(
    exemption_id: Annotated[str, typer.Argument(help="As `streetveil allow list` names it.")],
    published: Annotated[
        list[Path] | None, typer.Argument(help="Destinations in which it is hidden again at once.")
    ] = None,
    why: Annotated[str, typer.Option(help="In one line.")] = "no longer needed",
    by: By = None,
) -> None:
    """End an exemption, and hide in published images what it had left visible."""
    from components.batch.exemption_desk import hide_again
    from components.batch.storage import written_destination
    from components.settings import load_params

    with errors_in_one_line():
        params, storages = load_params(), [written_destination(folder) for folder in published or ()]
        _book().end(exemption_id, by or getpass.getuser(), why)
        hidden = [path for storage in storages for path in hide_again(storage, exemption_id, params, _say_waiting)]
    where = (
        f"hidden again in {len(hidden)} images" if storages else "published images stay: name destinations to hide it"
    )
    typer.echo(f"exemption {exemption_id}: ended; {where}")


def _book() -> ExemptionBook:
    from components.batch.exemption_book import ExemptionBook
    from components.settings import Environment

    return ExemptionBook(Environment().exemptions)


def _say_waiting() -> None:
    err.print("another run holds a destination: waiting for its end")


def _told(entry: Entry, uses: Counter[str]) -> dict[str, Any]:
    from components.settings import load_params

    one, limits = entry.exemption, load_params().exemptions
    state, fault = entry.state(datetime.now(UTC), limits), one.fault(limits)
    note = f"; ended by {entry.ended.by}: {entry.ended.why}" if entry.ended else f"; {fault}" if fault else ""
    return {
        "id": one.id, "state": state, "pattern": one.pattern, "input_sha256": one.input_sha256, "box": one.box,
        "class_name": one.class_name, "by": one.by, "why": one.why, "granted_at": one.granted_at.isoformat(),
        "until": one.until.isoformat(), "uses": uses[one.id], "note": note,
    }  # fmt: skip


def _uses(destinations: list[str]) -> Counter[str]:
    """How many images each exemption has left something visible in."""
    from components.batch.index import valid_rows
    from components.batch.places import place_of, written

    rows = (row for destination in destinations for row in valid_rows(written(place_of(destination))))
    return Counter(exemption for row in rows for exemption in row.exemptions())


def _sides(box: str) -> tuple[float, float, float, float]:
    try:
        x1, y1, x2, y2 = map(float, box.split(","))
    except ValueError as error:
        raise StreetveilError(f"{box!r} is not x1,y1,x2,y2") from error
    return x1, y1, x2, y2
