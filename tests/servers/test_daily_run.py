"""A night on the servers of docs/deploy.md: model from MLflow, schedule and record at Prefect, both with passwords."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
import yaml
from cronsim import CronSim
from playwright.sync_api import Browser, expect

from components.batch.audit import audit
from components.batch.manifest import read_rows
from components.batch.storage import LocalStorage
from components.registry.champion import bootstrap
from components.registry.models import Registry
from components.settings import PROJECT_ROOT
from tests.flows.conftest import day
from tests.servers.machine import Machine
from tests.servers.test_pages import run_deployment
from tests.servers.units import started

__all__ = ["day"]
pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
def served(machine: Machine, registry_server: str, flow_server: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """`streetveil serve` as its unit starts it, with a champion to serve; yields the environment of its callers."""
    environment = {**machine.client(), "PREFECT_HOME": str(tmp_path / "prefect")}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        bootstrap(Registry.of("streetveil-detector"))
    health = flow_server + "/health"
    with started("streetveil.service", environment, machine.secrets, health, machine.folder / "serve.log"):
        yield {**os.environ, **environment}


def test_a_served_day_is_published_and_stands_on_the_page_behind_the_password(
    served: dict[str, str], flow_server: str, browser: Browser, day: Path, tmp_path: Path
) -> None:
    """The day is blurred by the registry's champion; its report shows on Prefect's page once the password is given."""
    run = run_deployment(served, day, tmp_path / "out")
    assert run.returncode == 0, run.stdout + run.stderr
    storage = LocalStorage(tmp_path / "out")
    rows = read_rows(storage).values()
    assert sorted(row.state for row in rows) == ["published", "published", "quarantined"]
    assert list(audit(storage)) == []

    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{flow_server.removesuffix('/api')}/artifacts")
    password = page.locator("input[type=password]")
    expect(password).to_be_visible(timeout=60_000)
    assert not page.get_by_text("daily-blur").count()
    password.fill(served["PREFECT_API_AUTH_STRING"])
    password.press("Enter")
    expect(page.get_by_text("daily-blur", exact=True).first).to_be_visible(timeout=60_000)
    page.close()


def test_every_schedule_has_its_next_runs_planned(served: dict[str, str], flow_server: str) -> None:
    """Soon after `streetveil serve` has begun, the server has planned runs at the hours that `prefect.yaml` names."""
    entries = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    schedules = {one["name"]: one["schedules"][0] for one in entries if one.get("schedules")}
    user, _, password = served["PREFECT_API_AUTH_STRING"].partition(":")

    def ask(path: str, **query: object) -> list[dict[str, Any]]:
        answer = requests.post(f"{flow_server}/{path}", json=query, auth=(user, password), timeout=60)
        answer.raise_for_status()
        return list(answer.json())

    def planned(name: str) -> list[datetime]:
        by_schedule = {"tags": {"all_": ["auto-scheduled"]}}
        runs = ask("flow_runs/filter", deployments={"name": {"any_": [name]}}, flow_runs=by_schedule)
        return [datetime.fromisoformat(run["expected_start_time"]) for run in runs]

    deadline = time.monotonic() + 180
    while not all(planned(name) for name in schedules) and time.monotonic() < deadline:
        time.sleep(2)
    assert "nightly" in schedules
    for name, schedule in schedules.items():
        assert planned(name), f"{name} would never run"
        for moment in planned(name):
            there = moment.astimezone(ZoneInfo(schedule["timezone"]))
            assert next(CronSim(schedule["cron"], there - timedelta(minutes=1))) == there


def test_without_the_password_nothing_is_served(flow_server: str, machine: Machine, tmp_path: Path) -> None:
    """`streetveil serve` without Prefect's password ends with one line that names the variable."""
    environment = {**os.environ, **machine.environment, "PREFECT_HOME": str(tmp_path)}
    command = [Path(sys.executable).with_name("streetveil"), "serve"]
    refused = subprocess.run(
        command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "PREFECT_API_AUTH_STRING" in refused.stderr
    assert refused.stderr.count("\n") == 1
