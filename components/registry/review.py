"""Review: a candidate with its verdict is registered; people approve, reject and roll back; aliases follow.

Whatever a review changes, it changes together (`transaction`), one review at a time (`lock`). Before anything is
changed, the version, its verdict and its networks are read and checked.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from components.detection.bundle import ModelFile
from components.errors import StreetveilError
from components.evaluation.gate_text import verdict_markdown
from components.evaluation.verdict import Verdict
from components.registry.candidate import (
    VERDICT_FOLDER,
    VERDICT_JSON,
    VERDICT_PAGE,
    Candidate,
    Provenance,
    Status,
    Tag,
    candidate_of,
)
from components.registry.decision import (
    SOMEBODY,
    accepted_with,
    approved_on_page,
    check_networks,
    decision,
    now,
    promote,
)
from components.registry.entries import entries, entry_of, set_alias
from components.registry.lock import review_lock
from components.registry.models import CHALLENGER, CHAMPION, PREVIOUS, REPORT_FOLDER, Registry
from components.registry.transaction import Change, change_together, undo_unfinished, unfinished

_REGISTRATION_WAIT_S = 120  # a registration waits for a review that is going on, instead of failing the loop
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
        accepted = accepted_with(registry, entry, reason, override)
        promote(registry, entry, reviewer, reason, accepted)


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
                *decision(entry, reviewer, reason, None, "rejected"),
                Change(Tag.STATUS, Status.REJECTED, version),
                Change(Tag.REJECTED_AT, now(), version),
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
        check_networks(registry, back)
        by_version = {entry.version: entry for entry in all_entries}
        before = by_version[back].tags.get(Tag.REPLACED)
        changes = [Change(CHAMPION, back), Change(PREVIOUS, before if before in by_version else None)]
        if champion is not None:
            left = by_version[champion]
            changes += [
                *decision(left, reviewer, reason, None, f"rolled back to version {back}"),
                Change(Tag.STATUS, Status.ROLLED_BACK, champion),
                Change(Tag.ROLLED_BACK_AT, now(), champion),
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
    with review_lock(registry, SOMEBODY):
        undo_unfinished(registry)
        for entry in entries(registry):
            if entry.tags.get(Tag.STATUS) != Status.APPROVED or Tag.PROMOTED_AT in entry.tags:
                continue
            try:
                reviewer, reason, accepted = approved_on_page(registry, entry)
            except StreetveilError as error:
                note = f"not promoted: {error}. To try again, set {Tag.STATUS} to {Status.APPROVED}"
                change_together(
                    registry,
                    [Change(Tag.NOTE, note, entry.version), Change(Tag.STATUS, Status.PENDING, entry.version)],
                )
                continue
            promote(registry, entry, reviewer, reason, accepted)
            promoted = promoted or entry.version
    return promoted


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
        page = render_verdict(verdict, f"{registry.name}, registered {now()}")
        Path(folder, VERDICT_JSON).write_text(text, encoding="utf-8")
        Path(folder, VERDICT_PAGE).write_text(page, encoding="utf-8")
        artifacts = [(Path(folder), VERDICT_FOLDER), *([(report, REPORT_FOLDER)] if report else [])]
        description = verdict_markdown(verdict, _DESCRIPTION_CHARACTERS)
        told = {tag.value: value for tag, value in tags.items()}
        return registry.register(files, description=description, tags=told, artifacts=artifacts)


def _recover(registry: Registry) -> None:
    """Undo what was killed; while somebody reviews, what stands under way is theirs."""
    if unfinished(registry) is not None:
        with suppress(StreetveilError), review_lock(registry, "the list of candidates"):
            undo_unfinished(registry)


def _named(reviewer: str, reason: str = "-") -> None:
    if not reviewer.strip() or not reason.strip():
        raise StreetveilError("a decision needs a name and a reason, which are stored: give --reviewer and --reason")
