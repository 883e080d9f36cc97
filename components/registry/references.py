"""How a person names a model: a version of the registry, or the detectors of others."""

from __future__ import annotations

import re
from dataclasses import dataclass

from components.errors import StreetveilError

PEERS = "peers"
_URI = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True, slots=True)
class Reference:
    """A version of a registered model.

    Attributes:
        name: of the model.
        wanted: an alias, or the version's number.
    """

    name: str
    wanted: str


def parse_reference(text: str, default_name: str) -> Reference | None:
    """What a text names; None for the peers.

    Args:
        text: "models:/NAME@ALIAS", "models:/NAME/VERSION", a version's number, or "peers".
        default_name: the model that a mere number is a version of.

    Raises:
        StreetveilError: it is none of these.
    """
    if text == PEERS:
        return None
    if text.isdecimal():
        return Reference(default_name, text)
    found = _URI.fullmatch(text)
    if not found:
        raise StreetveilError(
            f"{text!r} names no model: write models:/NAME@ALIAS, models:/NAME/VERSION, a version's number, or {PEERS}"
        )
    return Reference(found["name"], found["alias"] or found["version"])
