"""What a glance at the registry tells: who is champion since when, and what waits for a reviewer."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.errors import StreetveilError
from components.registry.models import CHAMPION, PREVIOUS, Registry

_ANSWER_S = 2.0  # MLflow's own client asks again for minutes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A version that waits for a reviewer, since when (s since 1970), and the gate's word on it."""

    version: str
    since_s: float
    gate: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the registry says.

    Attributes:
        problem: why it says nothing, in one line; None if it answers.
        champion, previous: versions; None if there is none.
        champion_since_s: when the champion was promoted, or else registered, s since 1970.
        waiting: the newest first.
    """

    problem: str | None = None
    champion: str | None = None
    champion_since_s: float | None = None
    previous: str | None = None
    waiting: tuple[Waiting, ...] = ()


def standing_of(registry: Registry) -> Standing:
    """A glance; a registry that does not answer costs seconds, and is told."""
    problem = _unreachable(registry.tracking_uri)
    if problem is not None:
        return Standing(problem)
    from components.registry.candidate import Status, Tag  # MLflow takes seconds to import
    from components.registry.entries import entries

    try:
        found = entries(registry)
    except StreetveilError as error:
        return Standing(str(error).replace(registry.tracking_uri, _shown(registry.tracking_uri)))
    by_alias = {alias: entry for entry in found for alias in entry.aliases}
    champion, previous = by_alias.get(CHAMPION), by_alias.get(PREVIOUS)
    waiting = tuple(
        Waiting(entry.version, entry.created_at.timestamp(), entry.tags.get(Tag.GATE_VERDICT))
        for entry in found
        if entry.tags.get(Tag.STATUS) == Status.PENDING
    )
    if champion is None:
        return Standing(previous=previous.version if previous else None, waiting=waiting)
    since_s = _promoted_s(champion.tags, Tag.PROMOTED_AT) or champion.created_at.timestamp()
    return Standing(None, champion.version, since_s, previous.version if previous else None, waiting)


def _unreachable(uri: str) -> str | None:
    """Why nothing needs to be asked, in one line; None if it is worth asking."""
    if uri.startswith("sqlite:///"):
        there = Path(uri.removeprefix("sqlite:///")).is_file()
        return None if there else f"there is no registry at {_shown(uri)} yet: `streetveil bootstrap` makes one"
    if not uri.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(f"{_bare(uri)}/health", timeout=_ANSWER_S):  # noqa: S310 - http by the line above
            return None
    except urllib.error.HTTPError:
        return None  # somebody is there
    except (OSError, ValueError) as error:
        cause = getattr(error, "reason", None) or error
        return f"the registry at {_shown(uri)} does not answer ({cause}): start its server, or set MLFLOW_TRACKING_URI"


def _bare(uri: str) -> str:
    """An address without the password that may stand in it."""
    parts = urllib.parse.urlsplit(uri)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def _shown(uri: str) -> str:
    return uri if uri.startswith("sqlite:") else _bare(uri)


def _promoted_s(tags: Mapping[str, str], name: str) -> float | None:
    try:
        at = datetime.fromisoformat(tags[name])
    except (KeyError, ValueError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
