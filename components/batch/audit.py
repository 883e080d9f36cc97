"""Proving afterwards that a destination is what its manifests say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.batch.index import indexed
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.storage import STATE_FOLDER, Storage
from components.errors import ImageFault
from components.imaging.reading import blurring_id_of


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a file that is not as its manifest says."""

    path: str
    what: str


def output_fault(storage: Storage, row: ImageRow) -> str | None:
    """What is wrong with the output of a row, or None."""
    if row.state != PUBLISHED:
        return "is quarantined, but a file stands in its place" if storage.exists(row.path) else None
    try:
        output = storage.read(row.path)
    except OSError as error:
        return f"the output cannot be read ({error.strerror})"
    if hashlib.sha256(output).hexdigest() != row.output_sha256:
        return "the output is not the one that was published (sha256 differs)"
    if hashlib.sha256(output).hexdigest() == row.input_sha256:
        return "the output is the unblurred original"
    try:
        stamp = blurring_id_of(output)
    except (OSError, ImageFault, SyntaxError, ValueError):
        stamp = None
    return None if stamp == row.blurring_id else "the output does not carry its blurring id"


def audit(
    storage: Storage,
    on_row: Callable[[ImageRow], None] = lambda row: None,
    fault_of: Callable[[Storage, ImageRow], str | None] = output_fault,
) -> Iterator[Finding]:
    """Read everything again and yield what is wrong: changed, missing, unstamped and unexplained files.

    Args:
        storage: the destination.
        on_row: told of each valid row as its output has been looked at.
        fault_of: what is wrong with the output of a row, or None.

    Raises:
        StreetveilError: a manifest cannot be read, or the destination does not answer.
    """
    with indexed(storage) as index:
        for row in index.rows():
            fault = fault_of(storage, row)
            if fault is not None:
                yield Finding(row.path, fault)
            on_row(row)
        for path in storage.list(""):
            if not path.startswith(f"{STATE_FOLDER}/") and index.get(path) is None:
                yield Finding(path, "no manifest knows this file; it was not committed, or not written by Streetveil")
