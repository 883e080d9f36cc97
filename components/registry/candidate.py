"""A version as a reviewer sees it: what the gate says, where it comes from, and what people have decided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from components.errors import ModelError, StreetveilError
from components.evaluation.verdict import Verdict
from components.registry.entries import Entry, artifact_text
from components.registry.models import Registry

VERDICT_FOLDER, VERDICT_JSON, VERDICT_PAGE = "gate", "verdict.json", "verdict.html"


class Tag(StrEnum):
    """The tags of a version that reviews read and write."""

    REGISTRATION_KEY = "registration_key"
    GATE_VERDICT = "gate_verdict"
    GATE_REASONS = "gate_reasons"
    VERDICT_SHA256 = "verdict_sha256"
    COMPARED_WITH = "compared_with"
    DATA_REVISION = "data_revision"
    GIT_REVISION = "git_revision"
    PARAMS_SHA256 = "params_sha256"
    STATUS = "review_status"
    REVIEWER = "reviewer"
    REASON = "review_reason"
    OVERRIDE = "review_override"
    NOTE = "review_note"
    HISTORY = "review_history"
    PROMOTED_AT = "promoted_at"
    REPLACED = "replaced"
    REJECTED_AT = "rejected_at"
    ROLLED_BACK_AT = "rolled_back_at"


class Status(StrEnum):
    """What people have decided."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a model was made of.

    Attributes:
        data_revision: of the labelled set.
        git_revision: of the code.
        params_sha256: of the settings.
    """

    data_revision: str
    git_revision: str
    params_sha256: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that went through the gate, or should have.

    Attributes:
        version: its number.
        created_at: when it was registered, UTC.
        aliases: that point at it.
        review_status: what people have decided, as it stands in the registry; None if it never was a candidate.
        gate_verdict: the gate's word; None if there is none.
        verdict: the gate's table; None if it cannot be read.
        problem: why it cannot be read, or why it was not promoted.
        provenance: what it was made of.
        compared_with: the version that was champion when it was judged; None if there was none.
        reviewer, reason, override: who decided, why, and what was overridden.
        history: every decision on it, a line each.
    """

    version: str
    created_at: datetime
    aliases: tuple[str, ...]
    review_status: str | None
    gate_verdict: str | None
    verdict: Verdict | None
    problem: str | None
    provenance: Provenance
    compared_with: str | None
    reviewer: str | None
    reason: str | None
    override: str | None
    history: tuple[str, ...]


def verdict_of(registry: Registry, entry: Entry) -> Verdict:
    """The verdict that a version was registered with.

    Raises:
        ModelError: there is none, it cannot be fetched, or it is not the one that was registered.
    """
    pinned = entry.tags.get(Tag.VERDICT_SHA256)
    if pinned is None:
        raise ModelError(f"version {entry.version} has no verdict: evaluate it and register it as a challenger")
    text = artifact_text(registry, entry, f"{VERDICT_FOLDER}/{VERDICT_JSON}")
    if hashlib.sha256(text.encode()).hexdigest() != pinned:
        raise ModelError(
            f"the verdict of version {entry.version} is not the one that it was registered with: somebody has changed "
            "it; evaluate the model and register it again"
        )
    return Verdict.from_json(text)


def candidate_of(registry: Registry, entry: Entry) -> Candidate:
    """A version with all that is known of it; what cannot be read is told, and no error."""
    tags, verdict = entry.tags, None
    problem = tags.get(Tag.NOTE)
    try:
        verdict = verdict_of(registry, entry) if Tag.STATUS in tags else None
    except StreetveilError as error:
        problem = str(error)
    return Candidate(
        entry.version, entry.created_at, entry.aliases, tags.get(Tag.STATUS), tags.get(Tag.GATE_VERDICT), verdict,
        problem, Provenance(*(tags.get(tag, "") for tag in (Tag.DATA_REVISION, Tag.GIT_REVISION, Tag.PARAMS_SHA256))),
        tags.get(Tag.COMPARED_WITH) or None, tags.get(Tag.REVIEWER), tags.get(Tag.REASON), tags.get(Tag.OVERRIDE),
        tuple(tags.get(Tag.HISTORY, "").splitlines()),
    )  # fmt: skip
