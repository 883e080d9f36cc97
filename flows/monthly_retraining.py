"""The monthly loop as a flow: each step is a task, and while people are waited for, the run is suspended."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from prefect import flow, get_run_logger, runtime, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from components.detection.bundle import ModelFile
from components.detection.shipped import own_files
from components.evaluation.report.files import PAGE
from components.loop_journal import LoopJournal, Result, open_loop
from components.registry.models import Registry
from components.settings import PROJECT_ROOT, Params, load_params
from flows.monthly_loop import Loop, verdict_of, version_of
from flows.monthly_report import chain_lines, outcome_markdown, step_line, step_markdown
from flows.monthly_steps import run_loop
from flows.monthly_waits import begin_wait, is_over

_GRACE_S = 30 * 24 * 3600  # a suspended run that nobody wakes is not failed by Prefect before that
WAITS_ELSEWHERE = "waits in another run"


@task(task_run_name="{name}", cache_policy=NO_CACHE)
def step(name: str, loop: Loop, do: Callable[[Loop], Result]) -> Result:
    """One step, once for each loop, with what it came to on the run's page."""
    before = loop.journal.result(name)
    result = loop.journal.once(name, lambda: do(loop))
    if before is not None:
        get_run_logger().info("%s was done before", name)
    create_markdown_artifact(step_markdown(name, result), f"monthly-{name}", step_line(name, result))
    return result


def _run_name() -> str:
    return f"monthly-retraining {runtime.flow_run.scheduled_start_time:%Y-%m-%d}"


@flow(name="monthly-retraining", flow_run_name=_run_name)
def monthly_retraining(
    profile: str | None = None,
    labels_wait_days: float | None = None,
    shadow_wait_days: float | None = None,
    review_wait_days: float | None = None,
    start_anew: bool = False,
) -> str:
    """Sample, label, retrain, gate, shadow, review, promote: goes on with the loop that was begun, or begins one.

    Args:
        profile: which way through the chain, full or rendered. Default: `retraining.profile` in params.yaml, as below.
        labels_wait_days: how long labels are waited for; 0 goes on without.
        shadow_wait_days: how long the challenger's shadow is waited for.
        review_wait_days: how long the review is waited for.
        start_anew: abandon the loop that was begun.

    Returns:
        What the loop has come to.
    """
    waits = {"labels_wait_days": labels_wait_days, "shadow_wait_days": shadow_wait_days,
             "review_wait_days": review_wait_days}  # fmt: skip
    params = _with(load_params(), profile, {key: days for key, days in waits.items() if days is not None})
    with open_loop(PROJECT_ROOT / params.retraining.folder, date.today(), anew=start_anew) as journal:
        if _waits_elsewhere(journal):
            get_run_logger().warning("the loop %s waits in another run; resume or cancel that one", journal.key)
            return WAITS_ELSEWHERE
        loop = loop_of(journal, params)
        outcome = run_loop(loop, lambda name, do: step(name, loop, do), lambda what: _wait(loop, what))
        _show(loop, outcome)
    get_run_logger().info("the loop %s: %s", journal.key, outcome)
    return outcome


def _show(loop: Loop, outcome: str) -> None:
    """Put what the loop has come to on the run's page, above its steps. The loop is over: nothing may fail it now."""
    try:
        version, report = version_of(loop), loop.evaluation / PAGE
        text = outcome_markdown(loop.journal.key, outcome, version, verdict_of(loop), report)
        create_markdown_artifact(text, "monthly-outcome", f"version {version}: {outcome}")
    except Exception:
        get_run_logger().exception("the loop is done, and what it came to is not on the page")


def loop_of(journal: LoopJournal, params: Params) -> Loop:
    """The loop of a journal in this project."""
    registry = Registry.of(params.registry.model_name)
    return Loop(journal, PROJECT_ROOT, params, registry, trained_files, chain_lines())


def trained_files(chain: Path) -> tuple[ModelFile, ...]:
    """The networks that the chain has made, with the others as their secondary check."""
    return own_files(chain / "optimised" / "street.onnx", chain / "stage2" / "verifier.onnx")


def _with(params: Params, profile: str | None, waits: dict[str, float]) -> Params:
    settings = params.retraining.model_copy(update=waits)
    if profile is not None:
        params.of_profile(profile)
        target = f"{settings.target.partition('@')[0]}@{profile}"
        settings = settings.model_copy(update={"profile": profile, "target": target})
    return params.model_copy(update={"retraining": settings})


def _wait(loop: Loop, what: str) -> None:
    """Come back when something has come, its time is over, or a person has resumed the run.

    The run of a deployment is suspended, and its process ends; `watch_loops` resumes it. Any other run looks again and
    again.
    """
    until = begin_wait(loop, what, datetime.now(UTC))
    while not is_over(loop, what, datetime.now(UTC)):
        get_run_logger().info("waiting for %s until %s", what, f"{until:%Y-%m-%d %H:%M} UTC")
        if runtime.deployment.id is None:
            time.sleep(loop.params.retraining.check_s)
            continue
        loop.journal.note(flow_run=str(runtime.flow_run.id))
        left_s = (until - datetime.now(UTC)).total_seconds()
        # Returns only in a run that was resumed: it starts from its beginning, and the steps tell what they came to.
        suspend_flow_run(timeout=int(left_s) + _GRACE_S, key=f"{loop.journal.key} {what}")
        break
    loop.journal.note(flow_run=None, waits_for=None)


def _waits_elsewhere(journal: LoopJournal) -> bool:
    """Whether another run is suspended with this loop, or about to go on; one that died has left it."""
    other = journal.fact("flow_run")
    if other is None or other == str(runtime.flow_run.id):
        return False
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(other)).state
        except ObjectNotFound:
            return False
    return state is not None and (state.is_paused() or state.is_scheduled())
