"""The one-folder job: the nightly run's steps without a server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from components.batch.engines.choice import EngineName, open_engine
from components.batch.manifest import ImageRow
from components.batch.places import Place
from components.batch.run import close_run, commit_shard, open_run, plan_run, verify_shard
from components.batch.summary import Summary, region_words, summarise
from components.batch.tally import Tally, tally_of
from components.detection.gpus import gpu_count
from components.detection.onnx_runtime import Device, resolve_device
from components.monitoring.run_watch import watch_run
from components.registry.champion import Champion, bootstrap, resolve_champion
from components.registry.models import Registry
from components.settings import Params


def blur_folder(
    source: Place,
    destination: Place,
    params: Params,
    region_name: str | None,
    champion: Champion,
    *,
    workers: int,
    engine: EngineName = "local",
    device: Device = "cpu",
    host_threads: int | None = None,
    key_file: Path | None = None,
    retry: frozenset[str] = frozenset(),
    on_plan: Callable[[int, int], None] = lambda left, before: None,
    on_row: Callable[[ImageRow], None] = lambda row: None,
    on_wait: Callable[[], None] = lambda: None,
) -> Summary:
    """Blur every image below a folder, or below a prefix of a bucket.

    Args:
        source, destination: the places.
        params: all settings.
        region_name: whose rules apply to every image; None leaves that to the policies.
        champion: the run's model.
        workers: worker processes.
        engine: how they are spread.
        device: where the model runs.
        host_threads: pictures that each worker process has in hand; None for as many as its device wants.
        key_file: a key of the user's own.
        retry: paths to do again although they are finished.
        on_plan: told how many images are left, and how many were finished before.
        on_row: told of each image as it is ready.
        on_wait: told if another run holds the destination.
    """
    tally = Tally()
    start = time.perf_counter()
    with (
        open_run(source, destination, champion.bundle, params, region_name, device, key_file, on_wait) as run,
        watch_run(run, "folder", champion.fallback_reason) as watch,
    ):
        plan = plan_run(run, retry)
        watch.planned(plan)
        on_plan(plan.images_left, plan.finished_before)
        if plan.images_left:
            with open_engine(engine, run.order, workers, plan.images_left, host_threads) as running:
                for shard in plan.shards:
                    done = verify_shard(run, running.blur_shard(shard, on_row))
                    commit_shard(run, shard, done)
                    watch.committed(done)
                    tally += tally_of(done)
        close_run(run)
    return sum_up(tally, plan.finished_before, time.perf_counter() - start, champion, region_name, params)


def sum_up(
    tally: Tally, before: int, duration_s: float, champion: Champion, region_name: str | None, params: Params
) -> Summary:
    """The summary of a run from its tally, its model and its rules."""
    return summarise(
        tally,
        finished_before=before,
        duration_s=duration_s,
        model=f"{champion.bundle.name} version {champion.bundle.version}",
        region=region_name or region_words(tally),
        min_published_share=params.batch.min_published_share,
        fallback_reason=champion.fallback_reason,
    )


def current_champion(params: Params, region_name: str | None, device: Device) -> Champion:
    """The model for one run; on a machine without any, the shipped detectors are registered first."""
    registry = Registry.of(params.registry.model_name)
    bootstrap(registry)
    return resolve_champion(registry, params, region_name, device)


def default_workers(device: Device) -> int:
    """One single-threaded process a core, or one process with many threads for each GPU."""
    if resolve_device(device) == "cuda":
        return gpu_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
