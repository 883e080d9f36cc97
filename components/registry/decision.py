"""What stands against an approval, and what a decision changes."""

from __future__ import annotations

from datetime import UTC, datetime

from components.errors import StreetveilError
from components.evaluation.verdict import Overall
from components.registry.candidate import Status, Tag, verdict_of
from components.registry.entries import Entry
from components.registry.models import CHALLENGER, CHAMPION, PREVIOUS, Registry
from components.registry.transaction import Change, change_together

SOMEBODY = "somebody on the MLflow page"
_HISTORY_CHARACTERS = 4000


def approved_on_page(registry: Registry, entry: Entry) -> tuple[str, str | None, str | None]:
    """Who has approved it there, why, and what they accept; on the page, nothing can be overridden."""
    if Tag.REJECTED_AT in entry.tags or Tag.ROLLED_BACK_AT in entry.tags:
        raise StreetveilError(f"it was {_once(entry)}; `streetveil review approve {entry.version} --override` can")
    reviewer, reason = (entry.tags.get(tag, "").strip() for tag in (Tag.REVIEWER, Tag.REASON))
    try:
        accepted = accepted_with(registry, entry, reason if reviewer else None, override=False)
    except StreetveilError as error:
        missing = "" if reviewer and reason else f" (on this page: the tags {Tag.REVIEWER} and {Tag.REASON})"
        raise StreetveilError(f"{error}{missing}") from error
    return reviewer or SOMEBODY, reason or None, accepted


def accepted_with(registry: Registry, entry: Entry, reason: str | None, override: bool) -> str | None:
    """What somebody accepts with this approval; None if nothing stands against it.

    Raises:
        StreetveilError: it may not be promoted, or not like this.
    """
    champion, version = registry.aliases().get(CHAMPION), entry.version
    if version == champion:
        raise StreetveilError(f"version {version} is @{CHAMPION} already: there is nothing to approve")
    verdict = verdict_of(registry, entry)
    check_networks(registry, version)
    against = []
    if Tag.REJECTED_AT in entry.tags or Tag.ROLLED_BACK_AT in entry.tags:
        against.append(f"it was {_once(entry)}")
    compared = entry.tags.get(Tag.COMPARED_WITH) or None
    if compared != champion:
        against.append(
            f"it was compared with {f'version {compared}' if compared else 'no champion'}, and @{CHAMPION} is "
            f"version {champion} now"
        )
    if verdict.overall is Overall.FAILED:
        against.append(f"the gate failed: {'; '.join(verdict.reasons)}")
    if against and not override:
        raise StreetveilError(
            f"version {version} may not be promoted: {'. '.join(against)}. Evaluate it anew, or "
            "override this by name and with a reason"
        )
    if verdict.overall is Overall.NEEDS_ACCEPTANCE:
        against.append(f"not decided: {'; '.join(verdict.reasons)}")
    if against and not (reason or "").strip():
        raise StreetveilError(
            f"version {version} needs somebody who accepts this, by name and with a reason (--reason): "
            f"{'. '.join(against)}"
        )
    return ". ".join(against) or None


def promote(registry: Registry, entry: Entry, reviewer: str, reason: str | None, accepted: str | None) -> None:
    """Make a version the champion, and the champion @previous, together with the tags that say who and why."""
    champion, version = registry.aliases().get(CHAMPION), entry.version
    change_together(
        registry,
        [
            *decision(entry, reviewer, reason, accepted, "approved"),
            Change(Tag.REPLACED, champion, version),
            Change(Tag.REJECTED_AT, None, version),
            Change(Tag.ROLLED_BACK_AT, None, version),
            *([Change(PREVIOUS, champion)] if champion else []),
            Change(CHAMPION, version),
            *([Change(CHALLENGER, None)] if CHALLENGER in entry.aliases else []),
            Change(Tag.STATUS, Status.APPROVED, version),
            Change(Tag.PROMOTED_AT, now(), version),
        ],
    )


def decision(entry: Entry, reviewer: str, reason: str | None, accepted: str | None, what: str) -> list[Change]:
    """The tags that say who has decided what, and why, the last time and ever."""
    line = f"{now()} {reviewer.strip()}: {what}" + (f", because {' '.join(reason.split())}" if reason else "")
    line += f" (accepted: {accepted})" if accepted else ""
    history = f"{entry.tags.get(Tag.HISTORY, '')}\n{line}".strip()[-_HISTORY_CHARACTERS:]
    told = {Tag.REVIEWER: reviewer.strip(), Tag.REASON: reason, Tag.OVERRIDE: accepted, Tag.NOTE: None}
    return [Change(tag, value, entry.version) for tag, value in {**told, Tag.HISTORY: history}.items()]


def check_networks(registry: Registry, version: str) -> None:
    """Read every network of a version.

    Raises:
        ModelError: one has vanished, or is not the one that was registered.
    """
    for file in registry.bundle(version).files:
        file.read()


def _once(entry: Entry) -> str:
    what = "rolled back" if Tag.ROLLED_BACK_AT in entry.tags else "rejected"
    return f"{what} by {entry.tags.get(Tag.REVIEWER, 'somebody')}: {entry.tags.get(Tag.REASON, 'no reason was given')}"


def now() -> str:
    """The time, UTC, as tags tell it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
