"""`streetveil evaluate`: the report on one or more models, and a word on the first of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from flows.terminal import err, errors_in_one_line, out

if TYPE_CHECKING:
    from components.evaluation.report.report import Report

GATE_NOT_PASSED = 4
EPILOG = (
    "Examples: `streetveil evaluate --model models:/streetveil-detector@challenger --model peers "
    "--data data/chain/full/prepared` · `streetveil evaluate --model 3 --data labels.json --no-log-to-mlflow`. "
    "Exit status: 0 the first model passed the gate · 4 it failed, or something could not be assessed · 1 error."
)
_COLOURS = {"passed": "green", "failed": "red"}


def evaluate(
    model: Annotated[
        list[str],
        typer.Option(
            "--model", "-m", help="models:/NAME@ALIAS, models:/NAME/VERSION, a version's number, or peers. The first "
            "one is judged, others stand beside it."
        ),
    ],
    data: Annotated[Path, typer.Option(help="A labels.json, or a folder that the prepare stage has written.")],
    part: Annotated[str, typer.Option(help="Of a prepared folder.")] = "test",
    destination: Annotated[Path, typer.Option("--out", help="The report's folder.")] = Path("data/evaluation"),
    region: Annotated[str | None, typer.Option("--region", "-r", help="Whose rules; default: params.yaml.")] = None,
    log_to_mlflow: Annotated[bool, typer.Option(help="Log the report to the run of each model version.")] = True,
) -> None:  # fmt: skip
    """Measure models on labelled pictures, and write a report with the gate's verdict."""
    from components.evaluation.verdict import Overall
    from components.settings import load_params
    from flows.evaluation_run import evaluate_models

    with errors_in_one_line():
        params = load_params()
        with err.status("looking at the pictures; an interrupted look goes on when it is called again"):
            report = evaluate_models(model, data, part, destination, region, params, log_to_mlflow)
    print_gate(report)
    out.print(f"report: {destination / 'report.html'}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if report.judged.gate.overall is Overall.PASSED else GATE_NOT_PASSED)


def print_gate(report: Report) -> None:
    """The gate table on the terminal, and the word on the judged model."""
    from components.evaluation.gate_text import bound_text, value_text, verdict_sentence

    table = Table("requirement", "bound", *(escape(model.title) for model in report.models), "rests on")
    group = ""
    for rows in zip(*(model.gate.rows for model in report.models), strict=True):
        if rows[0].group != group:
            group = rows[0].group
            table.add_row(f"[bold]{group}[/]")
        cells = [
            f"[{_COLOURS.get(row.outcome.value, 'yellow')}]{row.outcome.value}[/]"
            + (f" {value_text(row.metric, row.measured)}" if row.measured is not None else "")
            for row in rows
        ]
        table.add_row(f"  {rows[0].title}", bound_text(rows[0]), *cells, escape(rows[0].note))
    gate = report.judged.gate
    out.print(table, highlight=False)
    colour = _COLOURS.get(gate.overall.value, "yellow")
    out.print(f"[bold {colour}]gate: {gate.overall.value}[/] {verdict_sentence(gate)}", highlight=False)
