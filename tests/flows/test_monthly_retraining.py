"""The monthly loop as a flow, by a real Prefect engine against a real (temporary) server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.testing.utilities import prefect_test_harness

from components.loop_journal import journals
from components.registry import review
from components.registry.models import CHAMPION
from components.settings import PROJECT_ROOT, Params
from flows import monthly_retraining as flow_module
from flows import monthly_watch as watch_module
from flows.monthly_steps import PROMOTED
from tests.toy_project import Project, label, make_project, trained

pytestmark = pytest.mark.slow
monthly, watch = flow_module.monthly_retraining, watch_module.watch_loops


@pytest.fixture(scope="module", autouse=True)
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
def project(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A toy project that the flows take for theirs."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", str(tmp_path / "mlruns"))
    made = make_project(tmp_path, params)
    for module in (flow_module, watch_module):
        monkeypatch.setattr(module, "PROJECT_ROOT", tmp_path)
        monkeypatch.setattr(module, "load_params", lambda: made.params)
    monkeypatch.setattr(flow_module, "trained_files", trained)
    return made


def state_of(run: UUID) -> str:
    """The name of a run's state."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
    return str(state and state.name)


def shown() -> dict[str, str]:
    """What the pages show, by key; each key once for a run."""
    with get_client(sync_client=True) as client:
        found = [one for one in client.read_artifacts() if str(one.key).startswith("monthly-")]
    assert len({(one.key, one.task_run_id) for one in found}) == len(found)
    return {str(one.key): str(one.data) for one in found}


def execute(run: UUID) -> Any:
    """What a worker does with a scheduled run."""
    with get_client(sync_client=True) as client:
        told = client.read_flow_run(run)
    try:
        return run_flow(monthly, flow_run=told, parameters={"shadow_wait_days": 0}, return_type="state")
    except Pause:  # the worker's process ends here
        return None


def test_a_run_is_suspended_while_people_are_waited_for_and_resumed_when_they_are_done(project: Project) -> None:
    """A deployed run is suspended twice, others keep off, the watch resumes it in time, and it ends at a champion."""
    deployment = monthly.to_deployment("monthly").apply()
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment).id
        other = client.create_flow_run_from_deployment(deployment).id
    execute(run)
    assert state_of(run) == "Suspended"
    assert watch() == []
    assert execute(other).result() == flow_module.WAITS_ELSEWHERE
    (journal,) = journals(project.folder / project.params.retraining.folder)
    label(project, project.loop(journal), lambda box: box)
    assert watch() == [journal.key]
    assert state_of(run) == "Resuming"
    execute(run)
    assert (state_of(run), journal.fact("waits_for")) == ("Suspended", "review")
    assert project.registry.bundle(CHAMPION).version == "1"
    review.approve(project.registry, "2", "ada")
    assert watch() == [journal.key]
    assert execute(run).result() == PROMOTED
    assert project.registry.bundle(CHAMPION).version == "2"
    assert journal.is_finished
    told = shown()
    assert f"# Loop {journal.key}: promoted" in told["monthly-outcome"]
    assert "| Faces | at least 90" in told["monthly-outcome"]
    assert told["monthly-stages"].endswith("1. train")
