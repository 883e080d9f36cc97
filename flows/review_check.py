"""Every few minutes: what a reviewer has approved on the MLflow page is promoted, if its verdict allows it."""

from __future__ import annotations

from prefect import flow, get_run_logger

from components.registry.models import Registry
from components.registry.review import promote_approved
from components.settings import load_params


@flow(name="review-check", retries=2, retry_delay_seconds=60)
def review_check() -> str | None:
    """Promote what was approved on the MLflow page.

    Returns:
        The version that is champion now; None if nothing was to be promoted.
    """
    version = promote_approved(Registry.of(load_params().registry.model_name))
    logger = get_run_logger()
    if version is None:
        logger.info("nothing was promoted")
    else:
        logger.info("version %s is @champion", version)
    return version
