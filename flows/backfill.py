"""The flow in which the champion looks again at what older versions have published."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from components.batch.backfill import Backfill, Limits, backfill_archive
from components.batch.storage import STATE_FOLDER
from components.detection.bundle import Bundle
from components.detection.onnx_runtime import Device
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Params, load_params
from flows.backfill_command import markdown
from flows.gpu_slots import gpu_slots
from flows.one_folder import current_champion, default_workers


@task(task_run_name="backfill {published.name}", cache_policy=NO_CACHE)
def backfill_folder(
    published: Path, bundle: Bundle, params: Params, limits: Limits, workers: int, device: Device
) -> Backfill:
    """One archive; what is begun is finished by the next run."""
    with gpu_slots(device, workers):
        return backfill_archive(published, bundle, params, limits, workers=workers, device=device)


@flow(name="backfill")
def backfill(
    folders: str | None = None,
    max_images: int | None = None,
    max_hours: float | None = None,
    device: Device = "auto",
    workers: int | None = None,
) -> dict[str, Backfill]:
    """Look again at published archives with the champion, and hide what older versions have missed.

    Args:
        folders: which archives, as a pattern from the project's folder. Default: `backfill.folders` in params.yaml.
        max_images, max_hours: how much in this run. Default: `backfill` in params.yaml.
        device: where the model runs.
        workers: worker processes; one a core by default.

    Returns:
        What each archive came to that was looked at.
    """
    params, logger = load_params(), get_run_logger()
    champion = current_champion(params, params.default_region, device)
    left = max_images or params.backfill.max_images
    until_s = time.monotonic() + 3600 * (max_hours or params.backfill.max_hours)
    told: dict[str, Backfill] = {}
    for published in archives(folders or params.backfill.folders):
        if left <= 0 or time.monotonic() >= until_s:
            break
        try:
            found = backfill_folder(
                published, champion.bundle, params, Limits(left, until_s), workers or default_workers(device), device
            )
        except StreetveilError as error:
            logger.warning("%s is passed over: %s", published.name, error)
            continue
        left -= found.images
        told[published.name] = found
    create_markdown_artifact(markdown(told, champion.bundle.version), key="backfill", description="The second look")
    return told


def archives(pattern: str) -> Iterator[Path]:
    """The folders of a pattern that runs have written, the latest name first."""
    root = Path("/") if Path(pattern).is_absolute() else PROJECT_ROOT
    found = root.glob(pattern.lstrip("/"))
    yield from (path for path in sorted(found, reverse=True) if (path / STATE_FOLDER).is_dir())
