"""`streetveil drift`: compare days by hand. Every command is a few lines that call what does the work."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from components.errors import StreetveilError
from flows.terminal import errors_in_one_line, out

if TYPE_CHECKING:
    from components.monitoring.drift import DriftReport
    from components.monitoring.reference import Reference
    from components.registry.models import Registry

EXIT_ALARM = 5
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Whether a day still looks like those that the model was promoted on.",
)
Days = Annotated[list[Path], typer.Argument(help="Folders that runs have written, one a day, oldest first.")]


@app.command(
    epilog="Example: `streetveil drift check data/published/2026-02-27 data/published/2026-02-28`. "
    "Exit status: 0 no drift or a warning · 5 alarm · 1 error. "
    "An alarm needs as many days as `drift.alarm_days` in params.yaml says."
)
def check(
    published: Days,
    reference: Annotated[
        Path | None,
        typer.Option(help="A file of `drift reference`; default: what is stored with the days' model version."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with all distributions (HTML, takes a while).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare the last of the days with the reference."""
    from components.monitoring.distributions import profile_of_folder
    from components.monitoring.drift import compare
    from components.monitoring.drift_report import write_page
    from components.settings import load_params

    with errors_in_one_line():
        params = load_params()
        days = [profile_of_folder(folder) for folder in published]
        usual = _read(reference) if reference else _stored(params.registry.model_name, days[-1].model_version)
        result = compare(usual, days, params.drift)
        if report:
            write_page(usual, days[-1], result, report)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        _print(result)
    raise typer.Exit(EXIT_ALARM if result.level == "alarm" else 0)


@app.command(
    "reference",
    epilog="Example: `streetveil drift reference data/published/2026-02-* --attach champion`.",
)
def make_reference(
    published: Days,
    to: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
    attach: Annotated[
        str | None,
        typer.Option(help="Store it with this version of the model (number or alias); it must have made the days."),
    ] = None,
) -> None:
    """Make a reference from undisturbed days."""
    from components.monitoring.distributions import profile_of_folder
    from components.monitoring.reference import REFERENCE_FILE, reference_of
    from components.registry.models import Registry
    from components.settings import load_params

    with errors_in_one_line():
        if to is None and attach is None:
            raise StreetveilError("say where the reference goes: --out FILE, or --attach VERSION")
        made = reference_of([profile_of_folder(folder) for folder in published])
        if to:
            to.write_text(made.to_json(), encoding="utf-8")
        if attach:
            registry = Registry.of(load_params().registry.model_name)
            _attach(registry, attach, made, REFERENCE_FILE)
    images = sum(day.images for day in made.days)
    out.print(f"{len(made.days)} days, {images} images, model version {made.model_version}", highlight=False)


def _attach(registry: Registry, wanted: str, made: Reference, name: str) -> None:
    version = registry.version_of(wanted)
    if version != made.model_version:
        raise StreetveilError(
            f"version {made.model_version} looked at these days, not {version}: attach them to that version"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(made.to_json(), encoding="utf-8")
        registry.attach(version, file)


def _read(file: Path) -> Reference:
    from components.monitoring.reference import Reference

    try:
        return Reference.from_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StreetveilError(f"cannot read {file} ({error}): name a file of `streetveil drift reference`") from error


def _stored(model_name: str, version: str) -> Reference:
    from components.monitoring.reference import REFERENCE_FILE
    from components.registry.models import Registry

    file = Registry.of(model_name).fetch(version, REFERENCE_FILE)
    if file is None:
        raise StreetveilError(
            f"no reference is stored with version {version} of {model_name}: name one with --reference, or store one "
            f"with `streetveil drift reference DAYS --attach {version}`"
        )
    return _read(file)


def _print(report: DriftReport) -> None:
    from flows.drift_tables import COLUMNS, cells, sentence, shown

    colour = {"none": "green", "warning": "yellow", "alarm": "bold red"}
    out.print(f"[{colour[report.level]}]{sentence(report)}[/]", highlight=False, soft_wrap=True)
    table = Table(box=None)
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if 2 <= i <= 5 else "left", no_wrap=True)
    for test in shown(report):
        table.add_row(*cells(test), style=colour[test.level] if test.level != "none" else "")
    if report.tests:
        out.print(table, highlight=False)
    for reason in report.skipped:
        out.print(f"not compared: {reason}", highlight=False, soft_wrap=True)
