"""Every day: the originals of labelling samples whose time is over are erased."""

from __future__ import annotations

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from components.dataset.labelling.desk import erase_due
from components.settings import load_params


# Erasing again removes what an interruption has left.
@task(retries=3, retry_delay_seconds=60, cache_policy=NO_CACHE)
def erase_originals() -> dict[str, int]:
    """Erase what is due; the number of originals by sample."""
    return erase_due(load_params().labelling)


@flow(name="retention")
def retention() -> dict[str, int]:
    """Erase the originals of labelling samples whose `labelling.retention_days` are over; labels stay.

    Returns:
        How many originals were erased, by sample.
    """
    removed = erase_originals()
    get_run_logger().info("%d originals of %d samples erased", sum(removed.values()), len(removed))
    return removed
