"""What waits in quarantine, and the decision to give an image up. No original is touched."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from components.batch.index import valid_rows
from components.batch.manifest import QUARANTINED, ImageRow, commit_manifest
from components.batch.places import held
from components.batch.storage import Storage
from components.errors import Reason, StreetveilError


def waiting(rows: Iterable[ImageRow], reasons: Collection[str] = (), discarded: bool = False) -> list[ImageRow]:
    """Quarantined images, by reason and path.

    Args:
        rows: the valid row of each image.
        reasons: only these; empty for all.
        discarded: those that were given up, too.

    Raises:
        StreetveilError: there is no such reason.
    """
    unknown = set(reasons) - set(Reason)
    if unknown:
        raise StreetveilError(f"no reason {', '.join(sorted(unknown))}: there are {', '.join(Reason)}")
    found = [
        row
        for row in rows
        if row.state == QUARANTINED
        and (discarded or row.reason != Reason.DISCARDED)
        and (not reasons or row.reason in reasons)
    ]
    return sorted(found, key=lambda row: (row.reason or "", row.path))


def discard(
    storage: Storage, paths: Collection[str], by: str, why: str, on_wait: Callable[[], None] = lambda: None
) -> list[ImageRow]:
    """Give images up: they stay unpublished, and a manifest of its own says who has decided it, and why.

    All of them or none. A retry that names one can still bring it back.

    Args:
        storage: the destination.
        paths: of quarantined images.
        by, why: who decides, and for what reason.
        on_wait: called once if a run holds the destination; then its end is waited for.

    Returns:
        Their new rows.

    Raises:
        StreetveilError: one of them does not wait in quarantine, or nobody or no reason is named.
    """
    if not (by.strip() and why.strip()):
        raise StreetveilError("nothing is discarded without a name and a reason: add --by and --why")
    with held(storage, on_wait) as check_held:
        rows = {row.path: row for row in waiting(valid_rows(storage))}
        unknown = set(paths) - set(rows)
        if unknown:
            raise StreetveilError(f"not in quarantine: {', '.join(sorted(unknown))}; see `streetveil quarantine list`")
        day = datetime.now(UTC).date().isoformat()
        given_up = [
            replace(rows[path], reason=str(Reason.DISCARDED), detail=f"{by}, {day}: {why} ({_before(rows[path])})")
            for path in sorted(set(paths))
        ]
        if given_up:
            check_held()
            commit_manifest(storage, f"discard-{secrets.token_hex(8)}", given_up)
    return given_up


def _before(row: ImageRow) -> str:
    return f"was {row.reason}: {row.detail}"
