"""The planner's page: every row of its table is what the command of its first column prints."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from typer.testing import CliRunner

from components.settings import PROJECT_ROOT
from flows.cli import app

PAGE = PROJECT_ROOT / "docs" / "capacity.md"
_COLUMNS = ("images per second", "{unit}s at work", "machines", "network in", "originals per day", "published kept")


def rows() -> list[tuple[str, list[str]]]:
    """The arguments and the figures of every row."""
    found = re.findall(r"^\| `([^`]*--(?:images-per-day|cameras)[^`]*)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return [(arguments, [cell.strip() for cell in cells.split("|")]) for arguments, cells in found]


def figures(arguments: str) -> list[str]:
    """What the command says, as the table writes it."""
    outcome = CliRunner().invoke(app, ["capacity", *shlex.split(arguments), "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    (plan,) = json.loads(outcome.stdout)["plans"]
    values = {figure["name"]: figure["value"] for figure in plan["figures"]}
    return [f"{values[name.format(unit=plan['unit'])]:,.4g}" for name in _COLUMNS]


def test_every_number_of_the_table_is_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of docs/capacity.md hold exactly what their commands print."""
    monkeypatch.chdir(PROJECT_ROOT)
    assert len(rows()) == 16
    for arguments, cells in rows():
        assert cells == figures(arguments), arguments


def test_without_a_measurement_the_command_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No measurement, no load, or a wrong deadline end with status 1 or 2, never with a plan."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    run = CliRunner().invoke
    assert run(app, ["capacity", "--images-per-day", "10e6"]).exit_code == 1
    assert run(app, ["capacity", "--images-per-s-per-core", "2"]).exit_code == 1
    wrong = run(app, ["capacity", "--images-per-day", "1", "--images-per-s-per-core", "2", "--deadline", "20"])
    assert wrong.exit_code == 2
