"""Review: a candidate with its verdict is registered; people approve, reject and roll back; aliases follow.

Whatever a review changes, it changes together (`transaction`), one review at a time (`lock`). Before anything is
changed, the version, its verdict and its networks are read and checked.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from components.detection.bundle import ModelFile
from components.errors import StreetveilError
from components.evaluation.gate import Overall, Verdict
from components.evaluation.gate_text import verdict_markdown
from components.registry.candidate import (
    VERDICT_FOLDER,
    VERDICT_JSON,
    VERDICT_PAGE,
    Candidate,
    Provenance,
    Status,
    Tag,
    candidate_of,
    verdict_of,
)
from components.registry.entries import Entry, entries, entry_of, set_alias
from components.registry.lock import review_lock
from components.registry.models import CHALLENGER, CHAMPION, PREVIOUS, REPORT_FOLDER, Registry
from components.registry.transaction import Change, change_together, undo_unfinished

__all__ = ["Candidate", "Provenance", "Status", "Tag"]

_REGISTRATION_WAIT_S = 120  # a registration waits for a review that is going on, instead of failing the loop
_SOMEBODY = "somebody on the MLflow page"
_HISTORY_CHARACTERS = 4000
_DESCRIPTION_CHARACTERS = 4900  # MLflow's column takes 5000


def register_challenger(
    registry: Registry, files: Sequence[ModelFile], verdict: Verdict, provenance: Provenance, report: Path | None,
    key: str,
) -> str:  # fmt: skip
    """Register a model with its verdict as @challenger, once for a key.

    Args:
        registry: where.
        files: the networks.
        verdict: the gate's; a failed one is registered too, and is not approved by itself.
        provenance: what it was made of.
        report: the evaluation's page, or a folder with it; it must show nobody.
        key: of the run that made it; a second call with the same one registers nothing.

    Returns:
        The version, new or not.

    Raises:
        StreetveilError: a file is missing, or the registry does not take it.
    """
    with review_lock(registry, f"the registration {key}", _REGISTRATION_WAIT_S):
        entry = next((one for one in entries(registry) if one.tags.get(Tag.REGISTRATION_KEY) == key), None)
        version = entry.version if entry else _registered(registry, files, verdict, provenance, report, key)
        # A first call may have been killed before this; but a later challenger keeps its place.
        later = int(registry.aliases().get(CHALLENGER, 0)) >= int(version)
        if not later and (entry is None or entry.tags.get(Tag.STATUS) == Status.PENDING):
            set_alias(registry, CHALLENGER, version)
    return version


def pending(registry: Registry) -> list[Candidate]:
    """Everything that waits for a reviewer, the newest first."""
    return [candidate for candidate in reviewed(registry) if candidate.review_status == Status.PENDING]


def reviewed(registry: Registry) -> list[Candidate]:
    """Every version, the newest first; a review that was killed is undone before."""
    _recover(registry)
    return [candidate_of(registry, entry) for entry in entries(registry)]


def show(registry: Registry, version: str) -> Candidate:
    """One version with its verdict.

    Raises:
        StreetveilError: there is no such version.
    """
    return candidate_of(registry, entry_of(registry, version))


def approve(registry: Registry, version: str, reviewer: str, reason: str | None = None, override: bool = False) -> None:
    """Make a version the champion, and the champion @previous.

    Args:
        registry: where.
        version: its number.
        reviewer: who approves it, by name.
        reason: why; needed where the verdict is not passed.
        override: approve what failed, was rejected or rolled back, or was compared with another champion.

    Raises:
        StreetveilError: it may not be promoted, or could not be; the champion is unchanged.
    """
    _named(reviewer)
    with review_lock(registry, reviewer):
        undo_unfinished(registry)
        entry = entry_of(registry, version)
        accepted = _accepted(registry, entry, reason, override)
        _promote(registry, entry, reviewer, reason, accepted)


def reject(registry: Registry, version: str, reviewer: str, reason: str) -> None:
    """Keep a version from becoming champion.

    Raises:
        StreetveilError: it is the champion, or the registry refused; nothing was changed.
    """
    _named(reviewer, reason)
    with review_lock(registry, reviewer):
        undo_unfinished(registry)
        entry = entry_of(registry, version)
        if CHAMPION in entry.aliases:
            raise StreetveilError(f"version {version} is @{CHAMPION}: `streetveil rollback` takes it back")
        change_together(
            registry,
            [
                *_decision(entry, reviewer, reason, None, "rejected"),
                Change(Tag.STATUS, Status.REJECTED, version),
                Change(Tag.REJECTED_AT, _now(), version),
                *([Change(CHALLENGER, None)] if CHALLENGER in entry.aliases else []),
            ],
        )


def rollback(registry: Registry, reviewer: str, reason: str) -> str:
    """Make @previous the champion again, and the one that it had replaced @previous.

    Returns:
        The version that is champion now.

    Raises:
        StreetveilError: there is no @previous that can be used, or the registry refused; the champion is unchanged.
    """
    _named(reviewer, reason)
    with review_lock(registry, reviewer):
        undo_unfinished(registry)
        aliases, all_entries = registry.aliases(), entries(registry)
        champion, back = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        if back is None or back == champion:
            raise StreetveilError(f"there is no @{PREVIOUS} to go back to: approve another version instead")
        _check_networks(registry, back)
        by_version = {entry.version: entry for entry in all_entries}
        before = by_version[back].tags.get(Tag.REPLACED)
        changes = [Change(CHAMPION, back), Change(PREVIOUS, before if before in by_version else None)]
        if champion is not None:
            left = by_version[champion]
            changes += [
                *_decision(left, reviewer, reason, None, f"rolled back to version {back}"),
                Change(Tag.STATUS, Status.ROLLED_BACK, champion),
                Change(Tag.ROLLED_BACK_AT, _now(), champion),
                Change(Tag.PROMOTED_AT, None, champion),
            ]
        change_together(registry, changes)
    return back


def promote_approved(registry: Registry) -> str | None:
    """Promote what a person has set to review_status=approved on the MLflow page, the newest first.

    What may not be promoted is set back to pending, and its tag review_note says why: it is not promoted by surprise
    when, months later, the reason is gone.

    Returns:
        The version that was promoted; None if there was none.

    Raises:
        StreetveilError: another review is going on, or the registry does not answer.
    """
    if registry.is_empty():
        return None
    promoted = None
    with review_lock(registry, _SOMEBODY):
        undo_unfinished(registry)
        for entry in entries(registry):
            if entry.tags.get(Tag.STATUS) != Status.APPROVED or Tag.PROMOTED_AT in entry.tags:
                continue
            try:
                reviewer, reason, accepted = _approved_on_page(registry, entry)
            except StreetveilError as error:
                note = f"not promoted: {error}. To try again, set {Tag.STATUS} to {Status.APPROVED}"
                change_together(
                    registry,
                    [Change(Tag.NOTE, note, entry.version), Change(Tag.STATUS, Status.PENDING, entry.version)],
                )
                continue
            _promote(registry, entry, reviewer, reason, accepted)
            promoted = promoted or entry.version
    return promoted


def _approved_on_page(registry: Registry, entry: Entry) -> tuple[str, str | None, str | None]:
    """Who has approved it there, why, and what they accept; on the page, nothing can be overridden."""
    if Tag.REJECTED_AT in entry.tags or Tag.ROLLED_BACK_AT in entry.tags:
        raise StreetveilError(f"it was {_once(entry)}; `streetveil review approve {entry.version} --override` can")
    reviewer, reason = (entry.tags.get(tag, "").strip() for tag in (Tag.REVIEWER, Tag.REASON))
    try:
        accepted = _accepted(registry, entry, reason if reviewer else None, override=False)
    except StreetveilError as error:
        missing = "" if reviewer and reason else f" (on this page: the tags {Tag.REVIEWER} and {Tag.REASON})"
        raise StreetveilError(f"{error}{missing}") from error
    return reviewer or _SOMEBODY, reason or None, accepted


def _accepted(registry: Registry, entry: Entry, reason: str | None, override: bool) -> str | None:
    """What somebody accepts with this approval; None if nothing stands against it.

    Raises:
        StreetveilError: it may not be promoted, or not like this.
    """
    champion, version = registry.aliases().get(CHAMPION), entry.version
    if version == champion:
        raise StreetveilError(f"version {version} is @{CHAMPION} already: there is nothing to approve")
    verdict = verdict_of(registry, entry)
    _check_networks(registry, version)
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


def _promote(registry: Registry, entry: Entry, reviewer: str, reason: str | None, accepted: str | None) -> None:
    champion, version = registry.aliases().get(CHAMPION), entry.version
    change_together(
        registry,
        [
            *_decision(entry, reviewer, reason, accepted, "approved"),
            Change(Tag.REPLACED, champion, version),
            Change(Tag.REJECTED_AT, None, version),
            Change(Tag.ROLLED_BACK_AT, None, version),
            *([Change(PREVIOUS, champion)] if champion else []),
            Change(CHAMPION, version),
            *([Change(CHALLENGER, None)] if CHALLENGER in entry.aliases else []),
            Change(Tag.STATUS, Status.APPROVED, version),
            Change(Tag.PROMOTED_AT, _now(), version),
        ],
    )


def _decision(entry: Entry, reviewer: str, reason: str | None, accepted: str | None, what: str) -> list[Change]:
    """The tags that say who has decided what, and why, the last time and ever."""
    line = f"{_now()} {reviewer.strip()}: {what}" + (f", because {' '.join(reason.split())}" if reason else "")
    line += f" (accepted: {accepted})" if accepted else ""
    history = f"{entry.tags.get(Tag.HISTORY, '')}\n{line}".strip()[-_HISTORY_CHARACTERS:]
    told = {Tag.REVIEWER: reviewer.strip(), Tag.REASON: reason, Tag.OVERRIDE: accepted, Tag.NOTE: None}
    return [Change(tag, value, entry.version) for tag, value in {**told, Tag.HISTORY: history}.items()]


def _registered(
    registry: Registry, files: Sequence[ModelFile], verdict: Verdict, provenance: Provenance, report: Path | None,
    key: str,
) -> str:  # fmt: skip
    """A new version; its verdict and report are there before it is."""
    from components.evaluation.report.page import render_verdict  # draws charts elsewhere: seconds to import

    text = verdict.to_json()
    tags = {
        Tag.REGISTRATION_KEY: key,
        Tag.GATE_VERDICT: verdict.overall.value,
        Tag.GATE_REASONS: "\n".join(verdict.reasons) or "all requirements are met",
        Tag.VERDICT_SHA256: hashlib.sha256(text.encode()).hexdigest(),
        Tag.COMPARED_WITH: registry.aliases().get(CHAMPION, ""),
        Tag.STATUS: Status.PENDING,
        Tag.DATA_REVISION: provenance.data_revision,
        Tag.GIT_REVISION: provenance.git_revision,
        Tag.PARAMS_SHA256: provenance.params_sha256,
    }
    with tempfile.TemporaryDirectory() as folder:
        page = render_verdict(verdict, f"{registry.name}, registered {_now()}")
        Path(folder, VERDICT_JSON).write_text(text, encoding="utf-8")
        Path(folder, VERDICT_PAGE).write_text(page, encoding="utf-8")
        artifacts = [(Path(folder), VERDICT_FOLDER), *([(report, REPORT_FOLDER)] if report else [])]
        description = verdict_markdown(verdict, _DESCRIPTION_CHARACTERS)
        told = {tag.value: value for tag, value in tags.items()}
        return registry.register(files, description=description, tags=told, artifacts=artifacts)


def _recover(registry: Registry) -> None:
    """Undo what was killed; while somebody reviews, what stands under way is theirs."""
    with suppress(StreetveilError), review_lock(registry, "the list of candidates"):
        undo_unfinished(registry)


def _check_networks(registry: Registry, version: str) -> None:
    for file in registry.bundle(version).files:
        file.read()


def _named(reviewer: str, reason: str = "-") -> None:
    if not reviewer.strip() or not reason.strip():
        raise StreetveilError("a decision needs a name and a reason, which are stored: give --reviewer and --reason")


def _once(entry: Entry) -> str:
    what = "rolled back" if Tag.ROLLED_BACK_AT in entry.tags else "rejected"
    return f"{what} by {entry.tags.get(Tag.REVIEWER, 'somebody')}: {entry.tags.get(Tag.REASON, 'no reason was given')}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
