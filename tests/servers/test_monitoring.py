"""A real Prometheus over what runs and the service tell: alerts fire, and every panel has an answer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from components.detection.bundle import Bundle
from components.monitoring.run_record import RECORD
from components.registry.champion import Champion
from components.settings import Params
from flows.cli import app
from flows.one_folder import blur_folder
from flows.pages import running
from tests.monitoring.runs import record
from tests.monitoring.test_monitoring_files import MONITORING, TESTS, dashboard
from tests.servers.test_service import TOKEN, Started, picture, server
from tests.servers.units import free_port

__all__ = ["server"]
pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
# What nothing has happened for in the test: no drift was looked at, nothing was fixed, no registry asked.
_WITHOUT_DATA = {
    "Champion", "Champion's age", "Waiting reviews", "Drift", "Drift: tests by outcome", "From report to fix",
    "The registry answers", "Refused by reason", "Attempts that were lost",
}  # fmt: skip


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.name)
def test_each_alert_fires_in_its_condition(file: Path) -> None:
    """Promtool evaluates the very rules over the series of each condition, and finds each alert with its words."""
    ran = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_the_shipped_settings(tmp_path: Path) -> None:
    """The settings that docs/monitoring.md installs are valid, with the rules that they name."""
    settings = _settings(tmp_path, 9100, 8700)
    ran = subprocess.run(["promtool", "check", "config", settings], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _settings(folder: Path, node: int, service: int) -> Path:
    """The shipped settings, with the folders and ports of a test."""
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    text = text.replace("/etc/prometheus/streetveil.rules.yml", str(MONITORING / "streetveil.rules.yml"))
    text = text.replace("/etc/prometheus/streetveil.token", str(folder / "token"))
    text = text.replace(":9100", f":{node}").replace(":8700", f":{service}").replace("_interval: 30s", "_interval: 1s")
    (folder / "token").write_text(TOKEN)
    (folder / "prometheus.yml").write_text(text)
    return folder / "prometheus.yml"


@pytest.fixture
def prometheus(server: Started, tmp_path: Path) -> Iterator[str]:
    """Prometheus and node_exporter under way; yields the address of Prometheus."""
    (tmp_path / "metrics").mkdir()
    node, port = free_port(), free_port()
    exporter = [
        "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{node}", "--collector.disable-defaults",
        "--collector.textfile", f"--collector.textfile.directory={tmp_path / 'metrics'}",
    ]  # fmt: skip
    settings = _settings(tmp_path, node, server.port)
    command = [
        "prometheus", f"--config.file={settings}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(running(exporter, {}, tmp_path / "node.log", f"http://127.0.0.1:{node}/"))
        stack.enter_context(running(command, {}, tmp_path / "prometheus.log", f"http://127.0.0.1:{port}/-/ready"))
        yield f"http://127.0.0.1:{port}"


def _asked(prometheus: str, what: str, **parameters: str) -> Any:
    answer = httpx.get(f"{prometheus}/api/v1/{what}", params=parameters, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _until(prometheus: str, wanted: set[str]) -> set[str]:
    """The alerts that fire, once all that are wanted do, or after a minute."""
    firing: set[str] = set()
    for _ in range(60):
        alerts = _asked(prometheus, "alerts")["alerts"]
        firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
        if wanted <= firing:
            break
        time.sleep(1)
    return firing


def _panels() -> Iterator[tuple[str, str]]:
    """Title and expression of everything that the dashboard asks."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def test_a_bad_night_is_seen(
    prometheus: str, server: Started, tmp_path: Path, toy: Bundle, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with broken files on @previous, and a night too long ago: their alerts fire, and no panel asks in vain."""
    monkeypatch.setenv("STREETVEIL_METRICS_DIR", str(tmp_path / "metrics"))
    monkeypatch.setenv("STREETVEIL_REPORTS", str(tmp_path / "reports.sqlite"))
    assert _until(prometheus, set()) == set()
    source = tmp_path / "in"
    source.mkdir()
    (source / "street.jpg").write_bytes(picture()[1])
    (source / "broken.jpg").write_bytes(picture()[1][:3000])
    blur_folder(source, tmp_path / "out", params, "eu", Champion(toy, "wrong hash"), workers=1)
    day = tmp_path / "days" / "2026-02-28"
    (day / ".streetveil").mkdir(parents=True)
    (day / RECORD).write_text(record().to_json())
    told = (tmp_path / "metrics" / "streetveil-run-folder.prom").read_text().replace('"folder"', '"daily"')
    (tmp_path / "metrics" / "streetveil-run-daily.prom").write_text(told)
    arguments = ["status", str(day.parent), "--no-registry", "--write-metrics"]
    assert CliRunner().invoke(app, arguments).exit_code == 0

    for _ in range(3):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        posted = httpx.post(f"{server.address}/blur/", files={"picture": picture()[1]}, headers=headers, timeout=60)
        assert posted.status_code == 200
        time.sleep(2)
    wanted = {"StreetveilManyQuarantined", "StreetveilFallback", "StreetveilNightMissed"}
    assert _until(prometheus, wanted) == wanted

    empty = {title for title, asked in _panels() if not _asked(prometheus, "query", query=asked)["result"]}
    assert empty <= _WITHOUT_DATA
    targets = _asked(prometheus, "targets")["activeTargets"]
    assert {(target["labels"]["job"], target["health"]) for target in targets} == {
        ("node", "up"), ("streetveil-service", "up"),
    }  # fmt: skip
