"""An alarm of the drift watch starts a retraining, on a Prefect server of its own, as `prefect.yaml` says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from typer.testing import CliRunner

from benchmarks.drift import night
from components.settings import PROJECT_ROOT
from flows.cli import app
from flows.daily_report import DAY_EVENT
from flows.drift_watch import ALARM_EVENT
from flows.pages import running
from tests.flows.conftest import _registry, registry_folder
from tests.flows.test_drift import DAYS, write_days
from tests.servers.machine import Machine

__all__ = ["_registry", "registry_folder"]
pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

# The watch as it is; of the retraining only the flow's body is another one.
_SERVE = """
import sys
from pathlib import Path
from prefect import serve
from components.settings import PROJECT_ROOT
from flows.serve import deployments
(watch,) = (one for one in deployments(PROJECT_ROOT / "prefect.yaml") if one.name == "drift-watch")
serve(watch, *deployments(Path(sys.argv[1])))
"""
_RETRAINING = """
from prefect import flow
@flow(name="monthly-retraining")
def monthly_retraining() -> str:
    return "retrained"
"""
_EMIT = "import sys; from prefect.events import emit_event; emit_event(sys.argv[1], {'prefect.resource.id': 'test'}, \
payload={'published': sys.argv[2]})"


@dataclass(frozen=True, slots=True)
class Prefect:
    """The server as its page sees it.

    Attributes:
        address: of its API.
        environment: of its clients.
    """

    address: str
    environment: dict[str, str]

    def ask(self, path: str, **query: Any) -> Any:
        """What one of its lists holds."""
        user, _, password = self.environment["PREFECT_API_AUTH_STRING"].partition(":")
        answer = requests.post(f"{self.address}/{path}", json=query, auth=(user, password), timeout=60)
        answer.raise_for_status()
        return answer.json()

    def runs(self, flow: str) -> list[Any]:
        """All runs of a flow but those that its schedule has planned."""
        runs = self.ask("flow_runs/filter", flows={"name": {"any_": [flow]}})
        return [run for run in runs if "auto-scheduled" not in run["tags"]]

    def alarms(self) -> int:
        """How many alarms it has heard of."""
        return int(self.ask("events/filter", filter={"event": {"name": [ALARM_EVENT]}})["total"])

    def forget(self, flow: str) -> None:
        """End the runs of a flow whose process is gone: each holds the flow's only slot until its lease runs out."""
        for run in self.runs(flow):
            if run["end_time"] is None:
                self.ask(f"flow_runs/{run['id']}/set_state", state={"type": "CRASHED"}, force=True)

    def publish(self, day: Path) -> None:
        """Say that a day is published, as the nightly run does, and wait for the watch to have looked at it."""
        known = {run["id"] for run in self.runs("drift-watch")}
        subprocess.run(
            [sys.executable, "-c", _EMIT, DAY_EVENT, day], env=self.environment, cwd=PROJECT_ROOT, check=True
        )
        (run,) = self.ended("drift-watch", known)
        assert (run["state_type"], run["parameters"]) == ("COMPLETED", {"published": str(day)})

    def ended(self, flow: str, known: set[str]) -> list[Any]:
        """The runs of a flow that were not known, once there are some and all have come to their end."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            new = [run for run in self.runs(flow) if run["id"] not in known]
            if new and all(run["end_time"] for run in new):
                return new
            time.sleep(2)
        pytest.fail(f"the server has come to no end of a new run of {flow}: {self.runs(flow)}")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A watch with a memory of its own."""
    told = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    told["drift"]["folder"] = str(tmp_path / "drift")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(told))
    monkeypatch.setenv("STREETVEIL_PARAMS", str(tmp_path / "params.yaml"))
    return dict(os.environ)


@pytest.fixture
def prefect(settings: dict[str, str], machine: Machine, flow_server: str, tmp_path: Path) -> Iterator[Prefect]:
    """The server, with the watch and a retraining served beside it."""
    entries = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text())["deployments"]
    (monthly,) = (entry for entry in entries if entry["name"] == "monthly")
    monthly["entrypoint"] = "retraining.py:monthly_retraining"
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [monthly]}))
    (tmp_path / "retraining.py").write_text(_RETRAINING)
    (tmp_path / "serving.py").write_text(_SERVE)
    names = [name for name in machine.client() if name.startswith("PREFECT_")]
    of_server = {name: machine.client()[name] for name in names} | {"PREFECT_HOME": str(tmp_path / "prefect")}
    server = Prefect(flow_server, {**settings, **of_server, "PYTHONPATH": str(PROJECT_ROOT)})
    server.forget("drift-watch")  # which a test before this one started by publishing, and stopped with its server
    with served(server, tmp_path):
        yield server


@contextmanager
def served(server: Prefect, folder: Path) -> Iterator[None]:
    """The deployments of a folder under way, and known to the server with their triggers."""
    command = [sys.executable, str(folder / "serving.py"), str(folder / "prefect.yaml")]
    with running(command, server.environment, folder / "serving.log", f"{server.address}/health"):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(server.ask("automations/filter")) < 2:
            time.sleep(1)
        yield


def test_an_alarm_starts_one_retraining_within_the_cooling_time(prefect: Prefect, tmp_path: Path) -> None:
    """Published days start the watch, its alarm the retraining; a second alarm starts none, though the watch forgot."""
    usual = write_days(tmp_path / "published", 1, DAYS + 1)
    dark = write_days(tmp_path / "published", 2, 3, night)
    attached = CliRunner().invoke(app, ["drift", "reference", *map(str, usual[:DAYS]), "--attach", "champion"])
    assert attached.exit_code == 0, attached.output

    prefect.publish(dark[0])
    assert (prefect.alarms(), prefect.runs("monthly-retraining")) == (0, [])
    prefect.publish(dark[1])
    (retraining,) = prefect.ended("monthly-retraining", set())
    assert retraining["state_type"] == "COMPLETED"
    assert prefect.alarms() == 1

    (tmp_path / "drift" / "last-alarm.json").unlink()
    prefect.publish(dark[2])
    prefect.publish(usual[DAYS])  # its watch has started, so the server is through with the second alarm
    assert prefect.alarms() == 2
    assert [run["id"] for run in prefect.runs("monthly-retraining")] == [retraining["id"]]
