"""`streetveil status` as a user types it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from components.monitoring.needs import needs
from components.monitoring.overview import Disk, Overview, overview
from components.monitoring.run_record import RECORD
from components.registry.standing import Standing
from components.settings import PROJECT_ROOT, Environment, Params
from flows.cli import app
from flows.status_screen import print_status
from tests.monitoring.runs import record
from tests.monitoring.test_monitoring_files import everything


def streetveil(*arguments: object) -> tuple[int, str]:
    """Exit status and everything that was printed."""
    ran = CliRunner().invoke(app, [*map(str, arguments)])
    return ran.exit_code, ran.output


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three days: one is done, one failed, one was killed."""
    monkeypatch.setenv("STREETVEIL_REPORTS", str(tmp_path / "reports.sqlite"))
    failed = {"state": "failed", "error": "the disk is full; make room, then run again", "whole": {"published": 5}}
    days = {"2026-02-26": {}, "2026-02-27": failed, "2026-02-28": {"state": "running", "planned": 40}}
    for day, changes in days.items():
        (tmp_path / "days" / day / ".streetveil").mkdir(parents=True)
        (tmp_path / "days" / day / RECORD).write_text(record(day, **changes).to_json())
    return tmp_path / "days"


def test_the_screen_names_runs_and_what_to_do(published: Path, tmp_path: Path) -> None:
    """Every day stands there with its state; the failure's cause and the next command, too; nothing was made."""
    status, told = streetveil("status", published, "--no-registry")
    assert status == 0
    lines = told.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("2026")] == [
        ["2026-02-28", "interrupted"], ["2026-02-27", "failed"], ["2026-02-26", "finished"],
    ]  # fmt: skip
    assert "the disk is full" in told
    assert "--param day=2026-02-28" in told
    assert f"streetveil quarantine list {published}/2026-02-28" in " ".join(told.split())
    assert not (tmp_path / "reports.sqlite").exists()


def test_days_that_go_to_a_bucket_are_not_told_as_missed(tmp_path: Path, params: Params) -> None:
    """A past day's originals with no folder of outputs are a missed day, unless the outputs lie in a bucket."""
    (tmp_path / "in" / "2020-01-01").mkdir(parents=True)
    environment = Environment(reports=tmp_path / "reports.sqlite")
    for destination, missed in ((f"{tmp_path}/out/{{day}}", ("2020-01-01",)), ("s3://street/out/{day}", ())):
        daily = params.daily.model_copy(update={"source": f"{tmp_path}/in/{{day}}", "destination": destination})
        told = overview(params.model_copy(update={"daily": daily}), environment, with_registry=False)
        assert told.waiting_days == missed


def test_json_has_what_the_screen_has(published: Path) -> None:
    """Scripts get runs with folder and speed, and the needs with their commands."""
    told = json.loads(streetveil("status", published, "--no-registry", "--json")[1])
    assert [run["state"] for run in told["runs"]] == ["interrupted", "failed", "finished"]
    assert told["runs"][2]["images_per_s"] == 1.0
    assert told["runs"][2]["folder"] == str(published / "2026-02-26")
    assert [need["urgency"] for need in told["needs"]] == sorted(need["urgency"] for need in told["needs"])
    assert all(need["command"] for need in told["needs"])


def test_metrics_are_written_for_prometheus(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--write-metrics` leaves one file that others may read; without a folder it says which setting is missing."""
    assert "STREETVEIL_METRICS_DIR" in streetveil("status", published, "--no-registry", "--write-metrics")[1]
    monkeypatch.setenv("STREETVEIL_METRICS_DIR", str(tmp_path))
    assert streetveil("status", published, "--no-registry", "--write-metrics") == (0, "")
    file = tmp_path / "streetveil-status.prom"
    assert 'streetveil_latest_runs{state="interrupted"} 1.0' in file.read_text()
    assert file.stat().st_mode & 0o044 == 0o044


def test_it_is_quick_because_nothing_heavy_is_loaded(published: Path) -> None:
    """Without the registry neither MLflow nor scipy, torch or OpenVINO is imported, each of which takes seconds."""
    script = f"""
import sys
from typer.testing import CliRunner
from flows.cli import app
assert CliRunner().invoke(app, ["status", {str(published)!r}, "--no-registry"]).exit_code == 0
heavy = ("mlflow", "scipy", "torch", "openvino", "onnxruntime", "prefect", "evidently")
print([name for name in heavy if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_one_screen_without_colours_in_a_file(width: int) -> None:
    """Seven days and a dozen needs: no line is wider than the terminal, and a pipe gets no escape codes."""
    seen = everything()
    days = tuple(
        (Path(f"/d/2026-02-{day}"), record(f"2026-02-{day}", state="failed", error="why " * 30))
        for day in range(20, 27)
    )
    stream = io.StringIO()
    shown = replace(seen, runs=days, disks=(Disk("published", 1 << 40, 4 << 40), Disk("state", 5 << 30, 90 << 30)))
    print_status(Console(file=stream, width=width), shown, needs(shown, 0.1))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "\x1b" not in stream.getvalue()


def test_nothing_to_do_is_said() -> None:
    """Where all is well, the screen says so, and not nothing."""
    well = Overview(
        2000.0, ((Path("d"), record(whole={"published": 9})),), (), Standing(None, "3", 1.0), None, None, ()
    )
    assert needs(well, 0.1) == []
    stream = io.StringIO()
    print_status(Console(file=stream, width=80), well, [])
    assert "nothing needs a human" in stream.getvalue()


def test_every_kind_of_need_is_found_with_what_is_urgent_first() -> None:
    """Fall-back, a missed day, reports, a candidate, drift, a full disk and a silent registry: none is passed over."""
    seen = replace(
        everything(), runs=((Path("d"), record(fallback_reason="wrong hash")),), disks=(Disk("state", 1, 100),)
    )
    told = " | ".join(need.text for need in needs(seen, 0.1))
    for part in (
        "quarantine",
        "@previous was used",
        "2026-02-27",
        "wait for a decision",
        "not fixed",
        "version 4",
        "drift",
        "99% full",
    ):
        assert part in told
    silent = replace(seen, standing=Standing("the registry does not answer"))
    assert needs(silent, 0.1)[0].urgency == "now"
    assert "does not answer" in " | ".join(need.text for need in needs(silent, 0.1))
