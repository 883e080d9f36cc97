"""After every daily run: does the day still look like those that the champion was promoted on?"""

from __future__ import annotations

import time

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from components.batch.places import Place
from components.monitoring.distributions import DayProfile, profile_of_folder
from components.monitoring.drift import DriftReport, compare
from components.monitoring.drift_report import write_page
from components.monitoring.history import History, reference_for
from components.monitoring.reference import Reference
from components.registry.models import Registry
from components.settings import PROJECT_ROOT, Drift, Params, load_params
from flows.days import day_before_schedule, place_for
from flows.drift_tables import markdown, sentence

ALARM_EVENT = "streetveil.drift.alarm"


@task(cache_policy=NO_CACHE)
def profile_day(published: Place, history: History) -> DayProfile:
    """Count the day's distributions, and remember them."""
    profile = profile_of_folder(published)
    history.keep(profile)
    return profile


@task(cache_policy=NO_CACHE)
def find_reference(days: list[DayProfile], history: History, params: Params) -> Reference | None:
    """What the day's model version is to be compared with; see `reference_for`."""
    registry = Registry.of(params.registry.model_name)
    return reference_for(days[-1].model_version, days, history, registry, params.drift)


@task(cache_policy=NO_CACHE)
def raise_alarm(report: DriftReport, history: History, settings: Drift) -> bool:
    """Emit the event that starts a retraining, unless one was started within the cooling time."""
    if history.is_cooling(time.time(), settings.cooling_days):
        return False
    findings = [f"{finding.name} ({finding.statistic} {finding.distance:.3f})" for finding in report.findings]
    emit_event(
        event=ALARM_EVENT,
        resource={"prefect.resource.id": f"streetveil.model.{report.model_version}"},
        payload={"day": report.day, "findings": findings},
    )
    # Only now: whoever dies in between emits twice, and the trigger's own cooling time takes the second one.
    history.keep_alarm(report.day, time.time())
    return True


@task(cache_policy=NO_CACHE)
def publish(reference: Reference, profile: DayProfile, report: DriftReport, history: History) -> None:
    """Put the verdict on the Prefect page, and the distributions beside the day's profile."""
    history.keep_report(report)
    page = history.page(profile.day)
    text = f"{markdown(report)}\n\nAll distributions: `{page}`."
    create_markdown_artifact(text, key="drift", description=sentence(report))
    write_page(reference, profile, report, page)


@flow(name="drift-watch")
def drift_watch(published: str | None = None) -> DriftReport | None:
    """Compare a finished day with the reference of the model version that looked at it.

    Args:
        published: the place that the day's run has written. Default: yesterday's, `daily.destination` in params.yaml.

    Returns:
        What it came to; None while the version has no reference and too few days of its own to make one.
    """
    params, logger = load_params(), get_run_logger()
    destination = place_for(published or params.daily.destination, day_before_schedule(params.daily.timezone))
    history = History(PROJECT_ROOT / params.drift.folder)
    profile = profile_day(destination, history)
    days = history.days(profile.model_version, until=profile.day)
    reference = find_reference(days, history, params)
    if reference is None:
        logger.warning(
            "version %s has no reference and looked at %d days, as @challenger or since; it is watched from day %d on",
            profile.model_version,
            len(history.nights(profile.model_version)) + len(days),
            params.drift.least_reference_days + params.drift.alarm_days,
        )
        return None
    report = compare(reference, days, params.drift)
    (logger.info if report.level == "none" else logger.warning)(sentence(report))
    if report.level == "alarm" and not raise_alarm(report, history, params.drift):
        logger.warning("drift has started a retraining within the last %g days", params.drift.cooling_days)
    publish(reference, profile, report, history)
    return report
