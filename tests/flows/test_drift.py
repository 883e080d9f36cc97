"""Drift as people and the schedule see it: the command, and the flow with its event."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
from typer.testing import CliRunner

from benchmarks.drift import Change, manifests, night
from components.monitoring.reference import REFERENCE_FILE
from components.registry.models import Registry
from components.settings import PROJECT_ROOT
from flows import drift_watch as watch
from flows.cli import app

DAYS = 16


def write_days(folder: Path, seed: int, count: int, change: Change | None = None) -> list[Path]:
    """Published days of the benchmark's model, as their manifests alone."""
    written = []
    for number, table in enumerate(islice(manifests(np.random.default_rng(seed), 500, change), count)):
        day = folder / f"2026-{seed:02d}-{number + 1:02d}"
        (day / ".streetveil/manifests").mkdir(parents=True)
        pq.write_table(table.replace_schema_metadata({"schema_version": "2"}), day / ".streetveil/manifests/s.parquet")
        written.append(day)
    return written


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The days of a reference, two like them, and three dark ones."""
    folder = tmp_path_factory.mktemp("published")
    usual = write_days(folder, 1, DAYS + 2)
    return {"reference": usual[:DAYS], "usual": usual[DAYS:], "night": write_days(folder, 2, 3, night)}


def run(*arguments: str | Path):  # type: ignore[no-untyped-def]
    """One command."""
    return CliRunner().invoke(app, ["drift", *map(str, arguments)])


def test_days_are_compared_by_hand(days: dict[str, list[Path]], tmp_path: Path) -> None:
    """A reference file is made of days; days like them leave with 0, dark ones with 5 and the reasons."""
    file = tmp_path / "reference.json"
    made = run("reference", *days["reference"], "--out", file)
    assert made.exit_code == 0, made.output
    assert made.output.startswith("16 days, ")
    assert run("check", *days["usual"], "--reference", file).exit_code == 0
    dark = run("check", *days["night"][:2], "--reference", file, "--json")
    assert dark.exit_code == 5
    report = json.loads(dark.output)
    assert (report["level"], report["day"]) == ("alarm", "2026-02-02")
    assert "strict/face/stage2_confidence" in {test["name"] for test in report["tests"] if test["level"] == "alarm"}


def test_a_reference_travels_with_its_version(days: dict[str, list[Path]]) -> None:
    """It is stored with the version that made the days and found by it; without one the error says what to do."""
    missing = run("check", days["usual"][0])
    assert missing.exit_code == 1
    assert run("reference", *days["reference"]).exit_code == 1
    assert run("reference", *days["reference"], "--attach", "7").exit_code == 1
    assert run("reference", *days["reference"], "--attach", "champion").exit_code == 0
    dark = run("check", *days["night"][:2])
    assert dark.exit_code == 5
    assert "strict/face/stage2_confidence" in dark.output
    registry = Registry.of("streetveil-detector")
    assert registry.fetch("1", "another.json") is None
    assert registry.fetch("champion", REFERENCE_FILE) is not None


@pytest.mark.slow
def test_the_watch_raises_one_alarm_and_shows_why(
    days: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first dark day warns, the second starts a retraining, the third starts none; the page says why."""
    settings = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    settings["drift"]["folder"] = str(tmp_path / "drift")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("STREETVEIL_PARAMS", str(tmp_path / "params.yaml"))
    assert run("reference", *days["reference"], "--attach", "champion").exit_code == 0
    emitted: list[dict[str, Any]] = []
    monkeypatch.setattr(watch, "emit_event", lambda **event: emitted.append(event))
    with prefect_test_harness(server_startup_timeout=180):
        reports = [watch.drift_watch(str(day)) for day in days["night"]]
        with get_client(sync_client=True) as client:
            pages = [str(artifact.data) for artifact in client.read_artifacts() if artifact.key == "drift"]
    assert [report.level for report in reports if report] == ["warning", "alarm", "alarm"]
    (event,) = emitted
    assert (event["event"], event["payload"]["day"]) == (watch.ALARM_EVENT, "2026-02-02")
    assert any("strict/face/stage2_confidence" in page and "# Drift: alarm" in page for page in pages)
    page = (tmp_path / "drift/2026-02-02/drift.html").read_text()
    assert "<h1>Drift on 2026-02-02: alarm</h1>" in page
    assert 'src="http' not in page
