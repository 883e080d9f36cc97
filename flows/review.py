"""`streetveil review` and `streetveil rollback`: look at candidates, decide, and take a decision back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from flows.terminal import errors_in_one_line, out

if TYPE_CHECKING:
    from components.evaluation.verdict import Requirement, Verdict
    from components.registry.models import Registry
    from components.registry.review import Candidate

app = typer.Typer(no_args_is_help=True, help="Candidates that wait for a reviewer: look, approve, reject.")

Version = Annotated[str, typer.Argument(help="The version's number, as `list` shows it.")]
Reviewer = Annotated[str, typer.Option(envvar="STREETVEIL_REVIEWER", help="Who decides, by name; it is stored.")]
Reason = Annotated[str, typer.Option(help="Why; it is stored.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ROLLBACK_EPILOG = "Example: `streetveil rollback --reviewer ada --reason 'misses faces in fog'`."
_COLOURS = {
    "passed": "green", "failed": "red", "pending": "yellow", "approved": "green", "rejected": "red",
    "rolled_back": "red",
}  # fmt: skip
_SIGNS = {"passed": "✓", "failed": "✗"}


@app.command("list", epilog="Example: `streetveil review list --all`.")
def list_candidates(
    all_versions: Annotated[bool, typer.Option("--all", help="Not only those that wait.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the candidates that wait for a reviewer."""
    from components.registry.review import pending, reviewed

    with errors_in_one_line():
        candidates = (reviewed if all_versions else pending)(_registry())
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in candidates], indent=2, ensure_ascii=False))
        return
    table = Table("version", "registered", "gate", "review", "by", "aliases", "problem")
    for one in candidates:
        table.add_row(
            one.version, f"{one.created_at:%Y-%m-%d %H:%M}", _coloured(one.gate_verdict), _coloured(one.review_status),
            escape(one.reviewer or ""), _aliases(one), escape(one.problem or ""),
        )  # fmt: skip
    if candidates:
        out.print(table, highlight=False)
        out.print("next: streetveil review show VERSION", highlight=False)
    else:
        out.print("no candidate waits; --all shows every version", highlight=False)


@app.command(epilog="Example: `streetveil review show 4`.")
def show(version: Version, as_json: AsJson = False) -> None:
    """Show a candidate: the gate's table, what it was made of, and what was decided."""
    from components.registry.review import show as shown

    with errors_in_one_line():
        candidate = shown(_registry(), version)
    if as_json:
        typer.echo(json.dumps(_as_json(candidate), indent=2, ensure_ascii=False))
        return
    out.print(_facts(candidate), highlight=False)
    if candidate.verdict is not None:
        out.print(_gate_table(candidate.verdict), highlight=False)
        out.print(_word(candidate.verdict), highlight=False)
    if candidate.problem:
        out.print(f"[yellow]note:[/] {escape(candidate.problem)}", highlight=False, soft_wrap=True)


@app.command(
    epilog="Examples: `streetveil review approve 4 --reviewer ada` · `streetveil review approve 4 --reviewer ada "
    "--reason 'too few plates, counted by hand instead'`, where something could not be assessed."
)
def approve(
    version: Version,
    reviewer: Reviewer,
    reason: Annotated[
        str | None, typer.Option(help="Why; needed where the gate is not passed. It is stored.")
    ] = None,
    override: Annotated[
        bool, typer.Option("--override", help="Approve against the gate or an earlier decision; needs --reason.")
    ] = False,
) -> None:  # fmt: skip
    """Make a candidate the champion, and the champion @previous."""
    from components.registry.review import approve as approved

    with errors_in_one_line():
        registry = _registry()
        approved(registry, version, reviewer, reason, override)
        aliases = registry.aliases()
    before = f", version {aliases['previous']} is @previous" if "previous" in aliases else ""
    typer.echo(f"version {version} is @champion{before}; runs that are under way keep the model that they began with")


@app.command(epilog="Example: `streetveil review reject 4 --reviewer ada --reason 'hides shop signs'`.")
def reject(version: Version, reviewer: Reviewer, reason: Reason) -> None:
    """Keep a candidate from becoming champion."""
    from components.registry.review import reject as rejected

    with errors_in_one_line():
        rejected(_registry(), version, reviewer, reason)
    typer.echo(f"version {version} is rejected; the champion is unchanged")


def rollback(reviewer: Reviewer, reason: Reason) -> None:
    """Make @previous the champion again."""
    from components.registry.review import rollback as rolled_back

    with errors_in_one_line():
        version = rolled_back(_registry(), reviewer, reason)
    typer.echo(f"version {version} is @champion again; runs that are under way keep the model that they began with")


def _registry() -> Registry:
    from components.registry.models import Registry
    from components.settings import load_params

    return Registry.of(load_params().registry.model_name)


def _facts(one: Candidate) -> Panel:
    """What it is, what it was made of, and what was decided, in a frame."""
    table = Table.grid(padding=(0, 2))
    compared = f"version {one.compared_with}, the champion then" if one.compared_with else "no champion"
    rows = [
        ("gate", _coloured(one.gate_verdict)),
        ("review", _coloured(one.review_status) + escape(f" by {one.reviewer}" if one.reviewer else "")),
        ("reason", escape(one.reason or "")),
        ("accepted", escape(one.override or "")),
        ("compared with", compared if one.gate_verdict else ""),
        ("registered", f"{one.created_at:%Y-%m-%d %H:%M} UTC"),
        ("data", escape(one.provenance.data_revision)),
        ("code", escape(one.provenance.git_revision)),
        ("settings", escape(one.provenance.params_sha256)),
        ("history", escape("\n".join(one.history))),
    ]
    for name, value in rows:
        if value:
            table.add_row(f"[dim]{name}[/]", value)
    title = f"[bold]version {one.version}[/] {_aliases(one)}".strip()
    return Panel(table, title=title, title_align="left", expand=False)


def _gate_table(verdict: Verdict) -> Table:
    from components.evaluation.gate_text import bound_text

    table = Table("", "requirement", "asked", "measured", "champion", "rests on", box=None, pad_edge=False)
    group = ""
    for row in verdict.rows:
        if row.group != group:
            table.add_section()
            table.add_row("", f"[bold]{escape(row.group)}[/]")
            group = row.group
        colour = _COLOURS.get(row.outcome.value, "yellow")
        table.add_row(
            f"[{colour}]{_SIGNS.get(row.outcome.value, '?')}[/]", escape(row.title), bound_text(row, short=True),
            _measured(row), _champion(row), escape(row.note),
        )  # fmt: skip
    return table


def _measured(row: Requirement) -> str:
    from components.evaluation.gate_text import interval_text, value_text

    if row.measured is None:
        return f"[yellow]{row.outcome.value}[/]"
    colour = _COLOURS.get(row.outcome.value, "yellow")
    interval = f" [dim]{interval_text(row)}[/]" if row.interval else ""
    word = f" [yellow]{row.outcome.value}[/]" if colour == "yellow" else ""
    return f"[{colour}]{value_text(row.metric, row.measured)}[/]{interval}{word}"


def _champion(row: Requirement) -> str:
    from components.evaluation.gate_text import value_text

    return value_text(row.metric, row.champion)


def _word(verdict: Verdict) -> str:
    from components.evaluation.gate_text import verdict_sentence

    colour = _COLOURS.get(verdict.overall.value, "yellow")
    return f"[bold {colour}]gate: {verdict.overall.value}[/] {verdict_sentence(verdict)}"


def _coloured(word: str | None) -> str:
    return f"[{_COLOURS.get(word, 'yellow')}]{escape(word)}[/]" if word else ""


def _aliases(one: Candidate) -> str:
    return " ".join(f"[cyan]@{escape(alias)}[/]" for alias in one.aliases)


def _as_json(one: Candidate) -> dict[str, Any]:
    told = asdict(one) | {"created_at": one.created_at.isoformat(timespec="seconds")}
    told["verdict"] = json.loads(one.verdict.to_json()) if one.verdict else None
    return told
