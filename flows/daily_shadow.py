"""After the night @challenger looks at some of the day, too. Nothing of it is published; it cannot fail the night."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from components.batch.places import name_of
from components.batch.run import Run
from components.batch.shadow import Comparison, cast_shadow
from components.detection.bundle import Bundle
from components.errors import StreetveilError
from components.evaluation.verdict import Overall
from components.monitoring.distributions import profile_of_shadow
from components.monitoring.history import History
from components.registry.candidate import Tag
from components.registry.entries import entry_of
from components.registry.models import CHALLENGER, Registry
from components.settings import PROJECT_ROOT


def shadow_night(run: Run, workers: int) -> Comparison | None:
    """Let the challenger of the run's registry look at its share of the day, and put what it says on the Prefect page.

    What it has seen is kept for the reference that its days as the champion are compared with.

    Returns:
        The comparison; None where there is no challenger, or it could not look.
    """
    logger, order = get_run_logger(), run.order
    try:
        challenger = challenger_of(Registry.of(order.params.registry.model_name), order.bundle.version)
        if challenger is None:
            return None
        comparison = cast_shadow(order, challenger, order.params.shadow, workers)
        if comparison.images >= order.params.drift.least_values:  # fewer say nothing of a day
            seen = profile_of_shadow(run.storage, challenger.version, name_of(run.destination))
            History(PROJECT_ROOT / order.params.drift.folder).keep_night(seen)
    except StreetveilError as error:
        logger.warning("no shadow: %s", error)
    except Exception:
        logger.exception("no shadow; the night itself is done")
    else:
        create_markdown_artifact(shadow_markdown(comparison), key="daily-shadow", description="@challenger's look")
        return comparison
    return None


def challenger_of(registry: Registry, champion: str) -> Bundle | None:
    """What stands for promotion: @challenger, unless it is the champion by now, or the gate has stopped it.

    Raises:
        StreetveilError: the registry or the version's files cannot be read.
    """
    version = registry.aliases().get(CHALLENGER)
    if version in (None, champion):
        return None
    failed = entry_of(registry, str(version)).tags.get(Tag.GATE_VERDICT) == Overall.FAILED
    return None if failed else registry.bundle(str(version))


def shadow_markdown(comparison: Comparison) -> str:
    """The comparison as a person reads it."""
    lines = [
        f"# Version {comparison.challenger} beside version {comparison.champion}, on {comparison.images} images",
        "",
        "| objects hidden by | both | the champion alone | the challenger alone |",
        "|---|---|---|---|",
    ]
    for name, told in comparison.classes.items():
        lines.append(f"| {name} | {told.both} | {told.only_champion} | {told.only_challenger} |")
    times = comparison.champion_ms, comparison.challenger_ms
    if None not in times:
        lines += ["", "Detection takes {:.0f} ms (champion) and {:.0f} ms (challenger), median.".format(*times)]
    if comparison.faults:
        faults = ", ".join(f"{count} {reason}" for reason, count in comparison.faults.items())
        lines += ["", f"Could not be looked at: {faults}."]
    return "\n".join([*lines, "", "Nothing of the challenger's is published."])
