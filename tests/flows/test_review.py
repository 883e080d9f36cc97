"""`streetveil review`, `streetveil rollback` and the flow `review-check`, as a reviewer uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from typer.testing import CliRunner

from components.registry.candidate import Tag
from components.registry.entries import set_tag
from components.registry.models import CHAMPION, PREVIOUS, Registry
from components.registry.review import Provenance, register_challenger
from flows.cli import app
from flows.review_check import review_check
from tests.registry.verdicts import verdict
from tests.toy_model import toy_bundle


@pytest.fixture(autouse=True)
def _registry() -> None:
    """Other flow tests need the shipped model in a registry; these have a toy of their own."""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 1 is champion, version 2 could not be decided, version 3 has passed, version 4 has failed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", str(tmp_path / "artifacts"))
    registry, files = Registry.of("streetveil-detector"), toy_bundle(tmp_path / "toy").files
    registry.register(files, alias=CHAMPION)
    made_of = Provenance("data-1", "code-1", "params-1")
    for told in (verdict(fpr=None), verdict(), verdict(recall=0.8)):
        register_challenger(registry, files, told, made_of, None, f"loop {told.overall}")
    return registry


def run(*command: str) -> tuple[int, str]:
    """A command's exit status and what it prints."""
    outcome = CliRunner().invoke(app, command)
    return outcome.exit_code, outcome.output


@pytest.mark.usefixtures("_wide_terminal")
def test_a_reviewer_looks_decides_and_takes_it_back(registry: Registry) -> None:
    """The list and the table say what is wrong, decisions what they did; the page's check promotes."""
    status, told = run("review", "list")
    assert status == 0
    for words in ("failed", "needs a named acceptance", "passed", "pending", "@challenger"):
        assert words in told
    status, told = run("review", "show", "4")
    assert status == 0
    for words in ("version 4", "@challenger", "✗", "80.0", "94.0", "14 points worse than the champion", "data-1",
                  "must not be promoted", "version 1, the champion then", "1,000 faces"):  # fmt: skip
        assert words in told

    status, told = run("review", "approve", "2", "--reviewer", "ada")
    assert (status, told.startswith("error: version 2 needs somebody"), told.count("\n")) == (1, True, 1)
    status, told = run("review", "approve", "4", "--reviewer", "ada", "--reason", "x")
    assert (status, "the gate failed" in told) == (1, True)
    status, told = run("review", "approve", "2", "--reviewer", "ada", "--reason", "counted by hand")
    assert (status, "version 2 is @champion, version 1 is @previous" in told) == (0, True)
    (approved,) = [one for one in json.loads(run("review", "list", "--all", "--json")[1]) if one["version"] == "2"]
    assert (approved["reviewer"], approved["reason"]) == ("ada", "counted by hand")
    assert approved["verdict"]["overall"] == "needs a named acceptance"
    assert "counted by hand" in run("review", "show", "2")[1]

    assert run("rollback", "--reviewer", "ada", "--reason", "fog")[0] == 0
    assert registry.aliases()[CHAMPION] == "1"
    assert run("review", "reject", "4", "--reviewer", "ada", "--reason", "broken labels")[0] == 0
    set_tag(registry, "3", Tag.STATUS, "approved")
    with disable_run_logger():
        assert review_check.fn() == "3"
        assert review_check.fn() is None
    assert registry.aliases() == {CHAMPION: "3", PREVIOUS: "1"}
    assert "no candidate waits" in run("review", "list")[1]


def test_a_registry_without_a_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before `bootstrap` there is nothing to list, nothing to roll back, and nothing breaks."""
    assert "no candidate waits" in run("review", "list")[1]
    status, told = run("rollback", "--reviewer", "ada", "--reason", "fog")
    assert (status, "no @previous" in told) == (1, True)
    status, told = run("review", "show", "1")
    assert (status, "there is no version 1" in told) == (1, True)
    with disable_run_logger():
        assert review_check.fn() is None
