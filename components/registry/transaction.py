"""Several tags and aliases, changed together or not at all.

MLflow changes one thing at a time. So what will be changed, and what stood there, is first written down in a tag of a
version. An error undoes what was done; after a kill, whoever comes next does. Only when that tag is gone does a change
count.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from components.errors import StreetveilError
from components.registry.entries import entries, set_alias, set_tag
from components.registry.models import Registry

JOURNAL = "review_under_way"


@dataclass(frozen=True, slots=True)
class Change:
    """A tag of a version, or an alias, that gets another value.

    Attributes:
        key: the tag's name, or the alias.
        value: the new value, or the version's number; None takes it away.
        version: whose tag it is; None for an alias.
    """

    key: str
    value: str | None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """A change, and the value before it."""

    change: Change
    before: str | None


def change_together(registry: Registry, changes: Sequence[Change]) -> None:
    """Make all changes, in their order, or none; an earlier one that was killed is undone first.

    Raises:
        StreetveilError: the registry refused one; everything is as it was, or will be when the next change begins.
    """
    undo_unfinished(registry)
    holder = changes[0].version or changes[0].value
    assert holder is not None
    values = _values(registry)
    steps = [_Step(change, values.get((change.version, change.key))) for change in changes]
    try:
        set_tag(registry, holder, JOURNAL, json.dumps([asdict(step) for step in steps], ensure_ascii=False))
        for step in steps:
            _make(registry, step.change)
        set_tag(registry, holder, JOURNAL, None)
    except BaseException as error:
        _undo_after(registry, steps, error)
        raise


def undo_unfinished(registry: Registry) -> bool:
    """Undo a change that was killed in its middle.

    Returns:
        Whether there was one.

    Raises:
        StreetveilError: the registry does not answer.
    """
    told = unfinished(registry)
    if told is None:
        return False
    _undo(registry, [_Step(Change(**step["change"]), step["before"]) for step in json.loads(told)])
    return True


def unfinished(registry: Registry) -> str | None:
    """What is under way, or was killed in its middle, as JSON; None if nothing is."""
    return next((entry.tags[JOURNAL] for entry in entries(registry) if JOURNAL in entry.tags), None)


def _undo_after(registry: Registry, steps: Sequence[_Step], error: BaseException) -> None:
    try:
        _undo(registry, steps)
    except StreetveilError as second:
        raise StreetveilError(
            f"{error}. Nor could that be undone ({second}): `streetveil review list` undoes it once the registry "
            "answers"
        ) from error


def _undo(registry: Registry, steps: Sequence[_Step]) -> None:
    """What stands where this put it gets its old value; what somebody else has changed since, or deleted, stays."""
    values = _values(registry)
    there = {version for version, _ in values if version is not None}
    for step in reversed(steps):
        change = step.change
        named = step.before if change.version is None else change.version
        gone = named is not None and named not in there
        if not gone and values.get((change.version, change.key)) == change.value != step.before:
            _make(registry, Change(change.key, step.before, change.version))
    for version, key in values:
        if key == JOURNAL and version is not None:
            set_tag(registry, version, JOURNAL, None)


def _values(registry: Registry) -> dict[tuple[str | None, str], str]:
    """Every tag of every version, and every alias, as a `Change` names them: by version, or None, and key."""
    found = entries(registry)
    tags: dict[tuple[str | None, str], str] = {
        (one.version, key): value for one in found for key, value in one.tags.items()
    }
    return tags | {(None, alias): one.version for one in found for alias in one.aliases}


def _make(registry: Registry, change: Change) -> None:
    if change.version is None:
        set_alias(registry, change.key, change.value)
    else:
        set_tag(registry, change.version, change.key, change.value)
