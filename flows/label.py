"""`streetveil label`: what people label, from published pictures to the labelled set. Each command calls what works."""

from __future__ import annotations

import json
import secrets
import tempfile
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from components.errors import StreetveilError
from flows.terminal import errors_in_one_line, out

if TYPE_CHECKING:
    from components.settings import Labelling

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Draw samples for labelling, take them to a tool and back, and erase their originals on time.",
)


class Form(StrEnum):
    """What labelling tools read."""

    LABEL_STUDIO = "label_studio"
    COCO = "coco"
    YOLO = "yolo"


class Rest(StrEnum):
    """What becomes of pictures without sound labels."""

    REFUSE = "refuse"
    KEEP_OPEN = "keep_open"
    GIVE_UP = "give_up"


SampleId = Annotated[str, typer.Argument(help="As `streetveil label status` names it; its beginning will do.")]


@app.command(epilog="Example: `streetveil label sample data/published/2026-02-0* --seed 2026-02`.")
def sample(
    published: Annotated[
        list[Path], typer.Argument(help="Folders that `streetveil blur` or the nightly run has written.")
    ],
    originals: Annotated[
        str | None, typer.Option(help="Their originals; {day} is a folder's name. Default: daily.source.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Of the draw; default: chance, and recorded.")] = None,
    reports: Annotated[Path | None, typer.Option(help="What users report, a JSON object a line.")] = None,
    shadow: Annotated[Path | None, typer.Option(help="A challenger's words; default: beside the manifests.")] = None,
) -> None:
    """Draw a sample of published pictures and lay their originals out at a private desk."""
    from components.dataset.labelling.desk import desk_of
    from components.dataset.labelling.sampling import draw_sample
    from components.settings import PROJECT_ROOT, load_params

    with errors_in_one_line():
        params = load_params()
        pattern = Path(originals) if originals else PROJECT_ROOT / params.daily.source
        drawn = draw_sample(
            published, pattern, params.labelling, seed or secrets.token_hex(8), params=params, reports=reports,
            shadow=shadow,
        )  # fmt: skip
        _snapshot(params.labelling)
    reasons = ", ".join(f"{count} {reason}" for reason, count in drawn.by_reason().items())
    typer.echo(f"sample {drawn.sample_id}: {len(drawn.images)} of {drawn.population} published images ({reasons})")
    typer.echo(f"passed over: {drawn.unavailable} without their original, {drawn.similar} that look like another one")
    if drawn.unknown_reports:
        typer.echo(f"{drawn.unknown_reports} reports are of pictures in none of these folders")
    typer.echo(
        f"originals: {desk_of(drawn.sample_id, params.labelling)}, kept {params.labelling.retention_days:g} days"
    )
    typer.echo(f"next: streetveil label export {drawn.sample_id}")


@app.command("export", epilog="Example: `streetveil label export 1f3a --form coco`.")
def export_sample(
    sample: SampleId,
    form: Annotated[Form, typer.Option(help="Of the files.")] = Form.LABEL_STUDIO,
    destination: Annotated[Path | None, typer.Option("--out", help="Folder; default: at the desk.")] = None,
    url: Annotated[str | None, typer.Option(help="Label Studio: what stands before `originals/…`.")] = None,
) -> None:
    """Write a sample for a labelling tool, with what the model saw to begin with."""
    from components.dataset.labelling.exports import export
    from components.settings import load_params

    with errors_in_one_line():
        written = export(_desk(sample, load_params().labelling), form.value, destination, url)
    typer.echo(f"{written}")
    typer.echo(f"next: streetveil label import {sample} WHAT-THE-TOOL-EXPORTS")


@app.command(
    "import", epilog="Example: `streetveil label import 1f3a project-1.json`. Exit status 1 if nothing landed."
)
def import_sample(
    sample: SampleId,
    file: Annotated[Path, typer.Argument(help="Label Studio's JSON, a COCO JSON, or a YOLO data.yaml.")],
    rest: Annotated[Rest, typer.Option(help="What becomes of pictures without sound labels.")] = Rest.REFUSE,
    empty_ok: Annotated[bool, typer.Option(help="COCO, YOLO: without a box means nothing to hide.")] = False,
) -> None:
    """Bring labels back: all that is sound lands at once, and everything else is named."""
    from components.dataset.labelling.import_ import import_labels
    from components.settings import load_params

    with errors_in_one_line():
        settings = load_params().labelling
        told = import_labels(_desk(sample, settings), file, rest=rest.value, empty_ok=empty_ok, settings=settings)
        for fault in told.faults:
            out.print(f"[red]{escape(fault.where)}[/]: {escape(fault.what)}", highlight=False, soft_wrap=True)
        tracked, revision = _snapshot(settings) if told.landed else ([], "")
    boxes = ", ".join(f"{count} {name}" for name, count in told.boxes.items()) or "no boxes"
    landed = "landed" if told.landed else "nothing landed"
    typer.echo(
        f"{told.labelled} pictures labelled ({boxes}; {told.empty} show nothing), {len(told.open)} open: {landed}"
    )
    if told.landed:
        typer.echo(f"data revision {revision[:12]}; commit it: git add {' '.join(tracked)} && git commit")
    elif not told.complete:
        typer.echo("mend what is named above, or choose --rest keep_open or give_up")
        raise typer.Exit(1)


@app.command(epilog="Example: `streetveil label diff --before HEAD~3`.")
def diff(before: Annotated[str, typer.Option(help="A git revision.")] = "HEAD") -> None:
    """What has changed in the labelled set: images and boxes added, removed, changed, per class."""
    from components.dataset.labelling.labelled import sets
    from components.dataset.versions import difference, existed, fetch, tracked_by
    from components.settings import PROJECT_ROOT, load_params

    with errors_in_one_line(), tempfile.TemporaryDirectory() as folder:
        settings = load_params().labelling
        for place in sets(settings):
            if existed(tracked_by(place), before, PROJECT_ROOT):
                (Path(folder) / place.name).mkdir()
                fetch(place / "labels.json", before, PROJECT_ROOT, Path(folder) / place.name / "labels.json")
        told = difference(Path(folder), PROJECT_ROOT / settings.labelled)
    typer.echo(told.text())


@app.command(epilog="Example: `streetveil label erase`, every day; `streetveil label erase --now 1f3a` at once.")
def erase(
    now: Annotated[str | None, typer.Option(help="This sample at once, whatever its age.")] = None,
) -> None:
    """Erase the originals whose time is over; labels stay. Interrupted, it goes on when it is called again."""
    from components.dataset.labelling.desk import erase as erase_desk
    from components.dataset.labelling.desk import erase_due
    from components.settings import load_params

    with errors_in_one_line():
        settings = load_params().labelling
        if now is None:
            removed = erase_due(settings)
        else:
            desk = _desk(now, settings)
            removed = {desk.name: erase_desk(desk)}
    typer.echo(f"{sum(removed.values())} originals of {len(removed)} samples erased")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False) -> None:
    """Which samples wait for labels, which have landed, and when their originals are erased."""
    from components.dataset.labelling.desk import standings
    from components.settings import load_params

    with errors_in_one_line():
        told = standings(load_params().labelling)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in told], indent=2, default=str))
        return
    for one in told:
        kept = f"{one.originals} originals until {one.erase_at:%Y-%m-%d}" if one.originals else "no originals"
        typer.echo(f"{one.sample_id}  {one.state:<8}  {one.images} images, {kept}, drawn {one.drawn_at:%Y-%m-%d}")
    typer.echo(f"{len(told)} samples")


def _desk(name: str, settings: Labelling) -> Path:
    from components.dataset.labelling.desk import desks

    found = [desk for desk in desks(settings) if desk.name.startswith(name)]
    if len(found) != 1:
        raise StreetveilError(f"{len(found)} samples begin with {name!r}: see `streetveil label status`")
    return found[0]


def _snapshot(settings: Labelling) -> tuple[list[str], str]:
    """Track the labelled set and the record of samples; the small files to commit, and the data revision."""
    from components.dataset.labelling.desk import records
    from components.dataset.labelling.labelled import sets
    from components.dataset.versions import snapshot, tracked_by
    from components.settings import PROJECT_ROOT

    places = [place for place in (*sets(settings), records(settings)) if place.is_dir()]
    revision = snapshot(places, PROJECT_ROOT)
    return [tracked_by(place).relative_to(PROJECT_ROOT).as_posix() for place in places], revision
