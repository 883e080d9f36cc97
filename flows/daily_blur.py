"""The nightly run: resolve the champion once, plan, blur every shard, verify, commit, close, report."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from datetime import date
from itertools import islice

from prefect import flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.task_runners import ThreadPoolTaskRunner

from components.batch.engines.choice import EngineName, check_engine, open_engine
from components.batch.engines.engine import Engine
from components.batch.places import Place
from components.batch.plan import Plan
from components.batch.run import Run, close_run, commit_shard, open_run, plan_run, verify_shard
from components.batch.shards import Shard
from components.batch.summary import EXIT_FAILED, Summary
from components.batch.tally import Tally, tally_of
from components.detection.onnx_runtime import Device
from components.errors import StreetveilError
from components.event_log import start_json_log
from components.monitoring.run_watch import RunWatch, watch_run
from components.registry.champion import Champion
from components.settings import Environment, Params, load_params
from flows.daily_report import publish_report
from flows.daily_shadow import shadow_night
from flows.days import day_before_schedule, place_for
from flows.gpu_slots import gpu_slots
from flows.one_folder import current_champion, default_workers, sum_up

# Shards in flight at once: enough to keep the pool busy at the end of one shard, few enough to keep journals short. No
# other is read from the plan before one of them has ended: whatever the day's size, this much of it is in memory.
_SHARDS_IN_FLIGHT = 2
# One shard that fails leaves the others their turn; so many in a row are no shard's own fault.
_FAILURES_IN_A_ROW = 3


@task(retries=1, retry_delay_seconds=10, cache_policy=NO_CACHE)
def resolve_model(params: Params, region: str | None, device: Device) -> Champion:
    """The run's one model."""
    with gpu_slots(device):
        champion = current_champion(params, region, device)
    if champion.fallback_reason:
        get_run_logger().error("FALL-BACK to @previous: %s", champion.fallback_reason)
    return champion


@task(cache_policy=NO_CACHE)
def plan_day(run: Run) -> Plan:
    """What is left to do."""
    return plan_run(run)


# Doing a shard again costs nothing that its journal has kept, and writes the same bytes. The time limits are the
# engine's (batch.image_timeout_s and shard_timeout_s): Prefect could not stop a thread, the engine stops its processes.
@task(task_run_name="blur {shard.id}", retries=2, retry_delay_seconds=10, cache_policy=NO_CACHE)
def blur_shard(engine: Engine, run: Run, watch: RunWatch, shard: Shard) -> Tally:
    """Blur, verify and commit one shard."""
    rows = verify_shard(run, engine.blur_shard(shard))
    commit_shard(run, shard, rows)
    watch.committed(rows)
    return tally_of(rows)


@task(cache_policy=NO_CACHE)
def report(summary: Summary, source: Place, destination: Place) -> None:
    """Put the run's figures on the Prefect page."""
    publish_report(summary, source, destination)


@task(cache_policy=NO_CACHE)
def shadow(run: Run, workers: int) -> None:
    """Let @challenger look at some of the day, too."""
    with gpu_slots(run.order.device, workers):
        shadow_night(run, workers)


def _run_name() -> str:
    return f"daily-blur {runtime.flow_run.parameters.get('day') or day_before_schedule(load_params().daily.timezone)}"


@flow(
    name="daily-blur",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=_SHARDS_IN_FLIGHT),  # type: ignore[arg-type]
)
def daily_blur(
    day: date | None = None,
    source: str | None = None,
    destination: str | None = None,
    region: str | None = None,
    device: Device = "auto",
    workers: int | None = None,
    engine: EngineName = "local",
    host_threads: int | None = None,
) -> Summary:
    """Blur the images of a day.

    Args:
        day: which day; by default the one before the run's scheduled time, however late it starts.
        source, destination: folders, or s3://bucket/prefix; `{day}` stands for the day. Default: `daily` of params.yaml
        region: whose rules apply to every image. Default: `daily.region` in params.yaml, else its `policies`.
        device: where the model runs.
        workers: worker processes; one a core of this machine by default, or one a GPU.
        engine: local, or ray for a cluster.
        host_threads: pictures that each worker process has in hand; with a GPU one a core by default, else one.

    Returns:
        The run's summary. The run fails if too few of the decodable images could be published.
    """
    if Environment().log_json:
        start_json_log()
    params = load_params()
    check_engine(engine)
    day = day or day_before_schedule(params.daily.timezone)
    inputs = place_for(source or params.daily.source, day)
    outputs = place_for(destination or params.daily.destination, day)
    given = region or params.daily.region
    region_name = params.region(given)[0] if given else None
    start = time.perf_counter()
    champion = resolve_model(params, region_name, device)
    logger = get_run_logger()

    def say_waiting() -> None:
        logger.warning("another run holds %s; waiting for its end", outputs)

    with (
        open_run(inputs, outputs, champion.bundle, params, region_name, device, on_wait=say_waiting) as run,
        watch_run(run, "daily", champion.fallback_reason) as watch,
    ):
        plan = plan_day(run)
        watch.planned(plan)
        logger.info(
            "%d images left in %d shards, %d finished before", plan.images_left, plan.shard_count, plan.finished_before
        )
        tally = _blur_shards(run, plan, watch, engine, workers or default_workers(device), host_threads)
        close_run(run)
    summary = sum_up(tally, plan.finished_before, time.perf_counter() - start, champion, region_name, params)
    report(summary, inputs, outputs)
    shadow(run, workers or default_workers(device))
    if summary.exit_status == EXIT_FAILED:
        raise StreetveilError(
            f"only {summary.published_share:.1%} of the decodable images were published: see the report"
        )
    return summary


def _blur_shards(
    run: Run, plan: Plan, watch: RunWatch, engine_name: EngineName, workers: int, host_threads: int | None = None
) -> Tally:
    tally, in_a_row = Tally(), 0
    failed: list[Exception] = []
    if not plan.images_left:
        return tally
    with (
        gpu_slots(run.order.device, workers),
        open_engine(engine_name, run.order, workers, plan.images_left, host_threads) as engine,
    ):
        for future in _in_turn(engine, run, watch, plan.shards):
            outcome = future.result(raise_on_failure=False)
            if isinstance(outcome, Tally):
                tally, in_a_row = tally + outcome, 0
            else:
                failed, in_a_row = [*failed, outcome], in_a_row + 1
            if in_a_row == _FAILURES_IN_A_ROW:
                break
    if failed:
        raise failed[0]
    return tally


def _in_turn(engine: Engine, run: Run, watch: RunWatch, shards: Iterator[Shard]) -> Iterator[PrefectFuture[Tally]]:
    """Shards that have been begun, the first one first; another is begun whenever the first one has been dealt with."""
    in_flight = deque(blur_shard.submit(engine, run, watch, shard) for shard in islice(shards, _SHARDS_IN_FLIGHT))
    while in_flight:
        try:
            yield in_flight[0]
        except GeneratorExit:
            wait(list(in_flight))  # what is begun is brought to its end
            raise
        in_flight.popleft()
        in_flight.extend(blur_shard.submit(engine, run, watch, shard) for shard in islice(shards, 1))
