"""`streetveil handcount`: people count what was missed. Every command is a few lines that call what does the work."""

from __future__ import annotations

import json
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from components.errors import StreetveilError
from flows.terminal import errors_in_one_line

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Count by hand what was missed: draw a sample, look at it, report recall with its interval.",
)
_out = Console()
_PORT = 8642  # always the same, since browsers keep unsent marks for an address


class Strata(StrEnum):
    """What the sample is divided by."""

    NOTHING = "nothing"
    FOLDER = "folder"
    AREAS = "areas"


SampleFile = Annotated[Path, typer.Argument(help="What `streetveil handcount sample` has written.")]
Counter = Annotated[str, typer.Option(help="Who counts: letters, digits, - and _.")]


@app.command(epilog="Example: `streetveil handcount sample blurred photos --count 400 --out count.json`.")
def sample(
    published: Annotated[Path, typer.Argument(help="A folder that `streetveil blur` or the nightly run has written.")],
    originals: Annotated[Path, typer.Argument(help="The folder that it was made from.")],
    count: Annotated[int, typer.Option(min=1, help="How many images to draw.")] = 400,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw; default: chance, and recorded.")] = None,
    by: Annotated[Strata, typer.Option(help="Draw from each part in proportion.")] = Strata.NOTHING,
    out: Annotated[Path, typer.Option(help="Where to write the sample; answers are kept beside it.")] = Path(
        "handcount.json"
    ),
) -> None:
    """Draw a random sample of published images."""
    from components.batch.manifest import PUBLISHED, read_rows
    from components.batch.storage import written_destination
    from components.evaluation.hand_count.pictures import read_picture
    from components.evaluation.hand_count.sample import STRATA, draw, image_of, make_sample, write_sample

    with errors_in_one_line():
        rows = read_rows(written_destination(published)).values()
        candidates = [image_of(row.to_dict()) for row in rows if row.state == PUBLISHED]
        drawn_by = secrets.randbelow(2**32) if seed is None else seed
        images = draw(candidates, count, drawn_by, STRATA[by])
        drawn = make_sample(images, len(candidates), drawn_by, by.value, originals, published)
        for image in images:
            read_picture(drawn, image, "original")
            read_picture(drawn, image, "published")
        write_sample(drawn, out)
    typer.echo(f"{count} of {len(candidates)} published images, seed {drawn_by}: {out}")
    typer.echo(f"next: streetveil handcount serve {out} --counter YOUR-NAME")


@app.command(epilog="Example: `streetveil handcount serve count.json --counter ada`. Each counter has a name.")
def serve(
    sample: SampleFile,
    counter: Counter,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; the same each time.")] = _PORT,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Open the page on which a person counts, on this machine alone, until Ctrl-C."""
    from components.evaluation.hand_count.answers import AnswerBook
    from components.evaluation.hand_count.page import Counting, page_app
    from components.evaluation.hand_count.sample import read_sample
    from components.local_page.server import listen, run_page
    from components.settings import load_params
    from flows.browser import opened_in_browser

    with errors_in_one_line():
        drawn, book = read_sample(sample), AnswerBook.of(sample, counter)
        done = sum(answer.counted for answer in book.read().values())
        with listen(port) as listener:
            port = listener.getsockname()[1]
            counting = Counting(drawn, book, counter, secrets.token_urlsafe(32), port, load_params().reading)
            address = counting.page.address
            typer.echo(f"{counter} has counted {done} of {len(drawn.images)} images. Ctrl-C stops; open")
            typer.echo(address)
            with opened_in_browser(address, book.file.parent, wanted=open_browser):
                run_page(page_app(counting), listener)


@app.command(epilog="Example: `streetveil handcount report count.json --to-label list.txt`.")
def report(
    sample: SampleFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    to_label: Annotated[Path | None, typer.Option(help="Write the images to send to labelling, one a line.")] = None,
) -> None:
    """Recall and wrong blurs with intervals, agreement between counters, and what to send to labelling."""
    from components.evaluation.hand_count.answers import read_books
    from components.evaluation.hand_count.report import report as reported
    from components.evaluation.hand_count.sample import read_sample
    from flows.handcount_tables import print_report

    with errors_in_one_line():
        drawn = read_sample(sample)
        books = read_books(sample, drawn)
        if not books:
            raise StreetveilError(f"nobody has counted yet: streetveil handcount serve {sample} --counter YOUR-NAME")
        told = reported(drawn, books)
        if to_label is not None:
            _write(to_label, "".join(f"{entry['path']}\n" for entry in told["to_label"]))
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print_report(_out, told)


@app.command("export", epilog="Example: `streetveil handcount export count.json --out label-studio`.")
def export_tasks(
    sample: SampleFile,
    out: Annotated[Path, typer.Option(help="Folder for tasks.json and label_config.xml.")],
    originals_url: Annotated[str, typer.Option(help="What stands before the path of an original.")] = (
        "/data/local-files/?d=originals/"
    ),
    published_url: Annotated[str, typer.Option(help="What stands before the path of a published image.")] = (
        "/data/local-files/?d=published/"
    ),
    counter: Annotated[str | None, typer.Option(help="Take this counter's answers along, as annotations.")] = None,
) -> None:
    """Write the sample as tasks for Label Studio, for teams that count there."""
    from components.evaluation.hand_count.answers import AnswerBook
    from components.evaluation.hand_count.label_studio import label_config, tasks
    from components.evaluation.hand_count.sample import read_sample

    with errors_in_one_line():
        drawn = read_sample(sample)
        answers = AnswerBook.of(sample, counter).read() if counter else None
        made = tasks(drawn, originals_url, published_url, answers)
        _write(out / "tasks.json", json.dumps(made, indent=1, ensure_ascii=False))
        _write(out / "label_config.xml", label_config())
    typer.echo(f"{len(made)} tasks and the labelling interface: {out}")


@app.command("import", epilog="Example: `streetveil handcount import count.json export.json --counter team`.")
def import_answers(
    sample: SampleFile,
    exported: Annotated[Path, typer.Argument(help="Label Studio's export, in its JSON format.")],
    counter: Counter,
) -> None:
    """Take the annotations of Label Studio as a counter's answers."""
    from dataclasses import replace

    from components.dataset.formats.label_studio import read_export
    from components.evaluation.hand_count.answers import AnswerBook
    from components.evaluation.hand_count.label_studio import answers_from
    from components.evaluation.hand_count.sample import read_sample

    with errors_in_one_line():
        book, answers = AnswerBook.of(sample, counter), answers_from(read_sample(sample), read_export(exported))
        before = book.read()
        for answer in answers:
            stands = before.get(answer.path)
            revision = stands.revision if stands else 0
            if stands is None or replace(answer, revision=revision) != stands:
                book.append(replace(answer, revision=revision + 1))
    typer.echo(f"{len(answers)} images counted by {counter}: streetveil handcount report {sample}")


def _write(path: Path, text: str) -> None:
    """Readable by its owner alone: it tells where faces are."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StreetveilError(f"cannot write {path}: {error.strerror}; choose another place") from error
