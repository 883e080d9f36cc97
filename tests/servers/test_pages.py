"""The schedules and the pages as operators meet them: real servers, a served deployment, a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from components.batch.audit import audit
from components.batch.manifest import read_rows
from components.batch.storage import LocalStorage
from components.settings import PROJECT_ROOT
from flows.pages import mlflow_server, prefect_server
from tests.flows.conftest import _registry, day, registry_folder

__all__ = ["_registry", "day", "registry_folder"]
pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
SCREENSHOTS = PROJECT_ROOT / "data" / "screenshots"


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server; its API's address."""
    with prefect_server(home=tmp_path_factory.mktemp("prefect")) as api:
        yield api


@pytest.fixture
def served(prefect: str) -> Iterator[dict[str, str]]:
    """`streetveil serve` under way; yields the environment that it and its callers need."""
    environment = {**os.environ, "PREFECT_API_URL": prefect}
    streetveil = Path(sys.executable).with_name("streetveil")
    process = subprocess.Popen([streetveil, "serve"], env=environment, cwd=PROJECT_ROOT)
    try:
        yield environment
    finally:
        process.terminate()
        process.wait(timeout=60)


def run_deployment(environment: dict[str, str], day: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Start the nightly deployment by hand, as an operator does, and wait for its end."""
    parameters = {"day": "2026-02-28", "source": day, "destination": out, "region": "eu"}
    command = [str(Path(sys.executable).with_name("prefect")), "deployment", "run", "daily-blur/nightly", "--watch"]
    for key, value in parameters.items():
        command += ["--param", f"{key}={value}"]
    for _ in range(30):  # the deployment is there a moment after the server process is
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if "not found" not in run.stdout + run.stderr:
            break
        time.sleep(2)
    return run


def test_the_served_schedule_runs_a_day_and_the_page_tells_of_it(
    served: dict[str, str], prefect: str, browser: Browser, day: Path, tmp_path: Path
) -> None:
    """A run of the served deployment publishes the day, and its report stands on the Prefect page."""
    run = run_deployment(served, day, tmp_path / "out")
    assert run.returncode == 0, run.stdout + run.stderr
    storage = LocalStorage(tmp_path / "out")
    assert sorted(row.state for row in read_rows(storage).values()) == ["published", "published", "quarantined"]
    assert list(audit(storage)) == []

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    site = prefect.removesuffix("/api")
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{site}/runs")
    expect(page.get_by_text("daily-blur 2026-02-28").first).to_be_visible(timeout=60_000)
    page.screenshot(path=SCREENSHOTS / "prefect-runs.png")
    page.get_by_text("daily-blur 2026-02-28").first.click()
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text("The run at a glance").first.click()  # the artifact's description
    expect(page.get_by_text("2 of 3 images published").first).to_be_visible(timeout=60_000)
    page.screenshot(path=SCREENSHOTS / "prefect-report.png")
    page.close()


@pytest.mark.usefixtures("_registry")
def test_the_model_page_shows_the_champion_with_its_hashes(browser: Browser) -> None:
    """The MLflow page names version 1, the alias champion, and each file's sha256, source and licence."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with mlflow_server(os.environ["MLFLOW_TRACKING_URI"]) as site:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{site}/#/models/streetveil-detector/versions/1")
        expect(page.get_by_text(re.compile("champion")).first).to_be_visible(timeout=90_000)
        expect(page.get_by_text("centerface.onnx.sha256").first).to_be_visible()
        expect(page.get_by_text("centerface.onnx.licence").first).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "mlflow-version.png")
        page.close()
