"""What needs a human, with the command that comes next. Whatever is not named here runs by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.batch.manifest import QUARANTINED
from components.monitoring.overview import Overview
from components.monitoring.run_record import RunRecord
from components.monitoring.user_reports import State

Urgency = Literal["now", "soon"]
_NIGHTLY = "prefect deployment run daily-blur/nightly --param day="
_TOLD = 300  # characters of an error


@dataclass(frozen=True, slots=True)
class Need:
    """Something to do for a person.

    Attributes:
        urgency: now, if pictures wait or somebody may be seen; soon otherwise.
        text: what it is.
        command: what to type next.
    """

    urgency: Urgency
    text: str
    command: str


def needs(seen: Overview, least_free_share: float) -> list[Need]:
    """Everything that needs a human, what is urgent first."""
    found = [*_of_runs(seen), *_of_people(seen), *_of_models(seen), *_of_disks(seen, least_free_share)]
    return sorted(found, key=lambda need: need.urgency != "now")


def _of_runs(seen: Overview) -> Iterator[Need]:
    for _, run in seen.runs:
        again = _NIGHTLY + run.day if run.kind == "daily" else "streetveil blur SRC DST, as before: it goes on"
        if run.state == "failed":
            yield Need("now", f"the run of {run.day} failed: {(run.error or '')[:_TOLD]}", again)
        if run.state == "interrupted":
            yield Need("now", f"the run of {run.day} was interrupted, {_left(run)}", again)
    held = [(folder, run) for folder, run in seen.runs if run.whole.get(QUARANTINED)]
    if held:
        count, days = sum(run.whole[QUARANTINED] for _, run in held), _some([run.day for _, run in held])
        yield Need(
            "soon", f"{count} images are in quarantine: {days}", f"streetveil quarantine list {_shown(held[0][0])}"
        )
    for _, run in seen.runs[:1]:
        if run.fallback_reason:
            told = f"@previous was used on {run.day}: {run.fallback_reason[:_TOLD]}"
            yield Need("now", told, "streetveil review list --all")
    if seen.waiting_days:
        told = f"past days that were not blurred: {_some(seen.waiting_days)}"
        yield Need("now", told, _NIGHTLY + seen.waiting_days[0])


def _of_people(seen: Overview) -> Iterator[Need]:
    if seen.reports is None:
        return
    counts = {state: sum(n for (_, one), n in seen.reports.by_state.items() if one == state) for state in State}
    if counts[State.NEW]:
        yield Need("now", f"{counts[State.NEW]} reports wait for a decision", "streetveil report list")
    if counts[State.CONFIRMED]:
        told = f"{counts[State.CONFIRMED]} reports are confirmed and not fixed"
        yield Need("now", told, "streetveil report apply")


def _of_models(seen: Overview) -> Iterator[Need]:
    standing = seen.standing
    if standing is not None and standing.problem:
        yield Need("now", standing.problem, "docs/deploy.md")
    elif standing is not None and standing.champion is None:
        yield Need("now", "there is no champion, so nothing can be blurred", "streetveil review list --all")
    for waiting in standing.waiting if standing is not None else ():
        told = f"version {waiting.version} waits for a reviewer (gate: {waiting.gate or 'no verdict'})"
        yield Need("soon", told, f"streetveil review show {waiting.version}")
    if seen.drift is not None and seen.drift.level != "none":
        names = list(dict.fromkeys(test.name for test in seen.drift.findings))
        urgency: Urgency = "now" if seen.drift.level == "alarm" else "soon"
        told = f"drift {seen.drift.level} on {seen.drift.day}: {_some(names) or 'nothing could be compared'}"
        yield Need(urgency, told, "docs/drift.md")


def _of_disks(seen: Overview, least_free_share: float) -> Iterator[Need]:
    for disk in seen.disks:
        if disk.free_share < least_free_share:
            told = f"the disk of {disk.what} is {1 - disk.free_share:.0%} full"
            yield Need("now", told, "make room: docs/operate.md")


def _left(run: RunRecord) -> str:
    return "before its plan stood" if run.planned is None else f"{run.left} images are left"


def _some(names: tuple[str, ...] | list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _shown(folder: Path) -> str:
    """A folder as it can be typed from here."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
