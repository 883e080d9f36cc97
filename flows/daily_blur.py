"""The nightly run: resolve the champion once, plan, blur every shard, verify, commit, close, report."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

from prefect import flow, get_run_logger, runtime, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from components.batch.engines.local import LocalEngine, local_engine
from components.batch.manifest import ImageRow
from components.batch.run import Plan, Run, close_run, commit_shard, open_run, plan_run, verify_shard
from components.batch.shards import Shard
from components.batch.summary import EXIT_FAILED, Summary
from components.detection.onnx_runtime import Device
from components.errors import StreetveilError
from components.registry.champion import Champion
from components.settings import PROJECT_ROOT, Params, load_params
from flows.daily_report import publish_report
from flows.daily_shadow import shadow_night
from flows.one_folder import current_champion, default_workers, sum_up

# Shards in flight at once: enough to keep the pool busy at the end of one shard, few enough to keep journals short.
_SHARDS_IN_FLIGHT = 2


@task(retries=1, retry_delay_seconds=10, cache_policy=NO_CACHE)
def resolve_model(params: Params, region: str | None, device: Device) -> Champion:
    """The run's one model."""
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
def blur_shard(engine: LocalEngine, run: Run, shard: Shard) -> list[ImageRow]:
    """Blur, verify and commit one shard."""
    rows = verify_shard(run, engine.blur_shard(shard))
    commit_shard(run, shard, rows)
    return rows


@task(cache_policy=NO_CACHE)
def report(summary: Summary, source: Path, destination: Path) -> None:
    """Put the run's figures on the Prefect page."""
    publish_report(summary, source, destination)


@task(cache_policy=NO_CACHE)
def shadow(run: Run, workers: int) -> None:
    """Let @challenger look at some of the day, too."""
    shadow_night(run.order, workers)


def _run_name() -> str:
    return f"daily-blur {runtime.flow_run.parameters.get('day') or _yesterday()}"


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
) -> Summary:
    """Blur the images of a day.

    Args:
        day: which day; yesterday by default.
        source, destination: folders; `{day}` stands for the day. Default: `daily` in params.yaml.
        region: whose rules apply to every image. Default: `daily.region` in params.yaml, else its `policies`.
        device: where the model runs.
        workers: worker processes; one a core by default.

    Returns:
        The run's summary. The run fails if too few of the decodable images could be published.
    """
    params = load_params()
    day = day or _yesterday()
    inputs = _folder(source or params.daily.source, day)
    outputs = _folder(destination or params.daily.destination, day)
    given = region or params.daily.region
    region_name = params.region(given)[0] if given else None
    start = time.perf_counter()
    champion = resolve_model(params, region_name, device)
    logger = get_run_logger()

    def say_waiting() -> None:
        logger.warning("another run holds %s; waiting for its end", outputs)

    with open_run(inputs, outputs, champion.bundle, params, region_name, device, on_wait=say_waiting) as run:
        plan = plan_day(run)
        logger.info(
            "%d images left in %d shards, %d finished before", plan.images_left, len(plan.shards), plan.finished_before
        )
        rows = _blur_shards(run, plan, workers or default_workers(device))
        close_run(run)
    summary = sum_up(rows, plan.finished_before, time.perf_counter() - start, champion, region_name, params)
    report(summary, inputs, outputs)
    shadow(run, workers or default_workers(device))
    if summary.exit_status == EXIT_FAILED:
        raise StreetveilError(
            f"only {summary.published_share:.1%} of the decodable images were published: see the report"
        )
    return summary


def _blur_shards(run: Run, plan: Plan, workers: int) -> list[ImageRow]:
    if not plan.shards:
        return []
    with local_engine(run.order, min(workers, plan.images_left)) as engine:
        futures = blur_shard.map(unmapped(engine), unmapped(run), plan.shards)
        wait(futures)
        return [row for future in futures for row in future.result()]


def _yesterday() -> date:
    return date.today() - timedelta(days=1)


def _folder(pattern: str, day: date) -> Path:
    path = Path(pattern.format(day=day.isoformat()))
    return path if path.is_absolute() else PROJECT_ROOT / path
