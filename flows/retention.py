"""Every day: what was kept of pictures for a time, and whose time is over, is erased."""

from __future__ import annotations

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from components.batch.retention import erase_due as erase_due_beside
from components.dataset.labelling.desk import erase_due
from components.settings import load_params
from flows.backfill import archives


# Erasing again removes what an interruption has left.
@task(retries=3, retry_delay_seconds=60, cache_policy=NO_CACHE)
def erase_originals() -> dict[str, int]:
    """Erase what is due; the number of originals by sample."""
    return erase_due(load_params().labelling)


@task(retries=3, retry_delay_seconds=60, cache_policy=NO_CACHE)
def erase_held_back() -> dict[str, int]:
    """Erase what is due beside the manifests; the number of files by archive."""
    settings = load_params().backfill
    erased = {path.name: erase_due_beside(path, settings.retention_days) for path in archives(settings.folders)}
    return {name: count for name, count in erased.items() if count}


@flow(name="retention")
def retention() -> dict[str, int]:
    """Erase what is kept for a time only; labels and manifests stay.

    The originals of labelling samples after `labelling.retention_days`; what a backfill has held back in the folders of
    `backfill.folders`, and what was drawn at the quarantine desk and never decided, after `backfill.retention_days`.

    Returns:
        How many files were erased, by sample and archive.
    """
    ended = erase_originals(return_state=True), erase_held_back(return_state=True)  # one that fails stops no other
    removed, beside = (state.result() for state in ended)
    get_run_logger().info("%d originals of %d samples erased", sum(removed.values()), len(removed))
    get_run_logger().info("%d held-back files and drafts of %d archives erased", sum(beside.values()), len(beside))
    return removed | beside
