"""What the registry says of versions: their tags, aliases and artifacts, read and changed one at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.errors import ModelError, StreetveilError
from components.registry.models import Registry


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered version.

    Attributes:
        version: its number.
        created_at: when it was registered, UTC.
        run_id: of the run that keeps its artifacts.
        tags: by name.
        aliases: that point at it.
    """

    version: str
    created_at: datetime
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


def entries(registry: Registry) -> list[Entry]:
    """All versions, the newest first.

    Raises:
        StreetveilError: the registry does not answer.
    """
    with registry.connected(f"the versions of {registry.name} cannot be read") as client:
        found = client.search_model_versions(f"name = '{registry.name}'", max_results=1000)
        aliases = registry.aliases()
    return sorted((_entry(one, aliases) for one in found), key=lambda one: -int(one.version))


def entry_of(registry: Registry, version: str) -> Entry:
    """One version by its number.

    Raises:
        StreetveilError: it was deleted, or never registered.
    """
    found = next((one for one in entries(registry) if one.version == version), None)
    if found is None:
        raise StreetveilError(
            f"there is no version {version} of {registry.name}: it was deleted, or never registered; "
            "`streetveil review list --all` shows those that there are"
        )
    return found


def set_tag(registry: Registry, version: str, key: str, value: str | None) -> None:
    """Give a version a tag, or take it away."""
    with registry.connected(f"the tag {key} of version {version} cannot be changed") as client:
        if value is not None:
            client.set_model_version_tag(registry.name, version, key, value)
        elif key in client.get_model_version(registry.name, version).tags:
            client.delete_model_version_tag(registry.name, version, key)


def set_alias(registry: Registry, alias: str, version: str | None) -> None:
    """Point an alias at a version, or take it away."""
    with registry.connected(f"@{alias} cannot be changed") as client:
        if version is not None:
            client.set_registered_model_alias(registry.name, alias, version)
        else:
            client.delete_registered_model_alias(registry.name, alias)


def artifact_text(registry: Registry, entry: Entry, path: str) -> str:
    """A file that is kept beside a version.

    Raises:
        ModelError: it cannot be fetched.
    """
    try:
        doing = f"{path} of version {entry.version} of {registry.name} cannot be fetched"
        with tempfile.TemporaryDirectory() as folder, registry.connected(doing) as client:
            return Path(client.download_artifacts(entry.run_id, path, folder)).read_text(encoding="utf-8")
    except (StreetveilError, UnicodeDecodeError) as error:
        raise ModelError(f"{error}; if it is gone, register the model again") from error


def _entry(told: Any, aliases: Mapping[str, str]) -> Entry:
    own = tuple(sorted(alias for alias, version in aliases.items() if version == str(told.version)))
    created_at = datetime.fromtimestamp(told.creation_timestamp / 1000, UTC)
    return Entry(str(told.version), created_at, told.run_id, dict(told.tags), own)
