"""Looks every few minutes whether what a suspended loop waits for has come, and lets it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import resume_flow_run

from components.loop_journal import LoopJournal, journals
from components.settings import PROJECT_ROOT, load_params
from flows.monthly_retraining import loop_of
from flows.monthly_waits import is_over


@flow(name="monthly-watch")
def watch_loops() -> list[str]:
    """Resume every suspended loop whose labels, shadow or review have come, or whose time is over.

    Returns:
        The keys of the loops that go on.
    """
    params = load_params()
    resumed = []
    for journal in journals(PROJECT_ROOT / params.retraining.folder):
        what, run = journal.fact("waits_for"), journal.fact("flow_run")
        if journal.is_finished or what is None or run is None:
            continue
        if is_over(loop_of(journal, params), what, datetime.now(UTC)) and _resume(journal, UUID(run)):
            resumed.append(journal.key)
    return resumed


def _resume(journal: LoopJournal, run: UUID) -> bool:
    """Resume a run if it is still suspended."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(run).state
        except ObjectNotFound:
            state = None
    if state is None or not state.is_paused():
        get_run_logger().warning("the loop %s has lost its run; start monthly-retraining again", journal.key)
        return False
    resume_flow_run(run)
    return True
