"""Files that are whole or not there, readable by their owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from components.durable import sync

OWNER_ONLY_FILE, OWNER_ONLY_FOLDER = 0o600, 0o700


def write_whole(path: Path, content: bytes | str) -> None:
    """Write under a temporary name, fsync, rename: an interruption leaves the old content or the new one."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def make_private(folder: Path) -> Path:
    """Make a folder that its owner alone can enter; one that is there stays as it is."""
    folder.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    return folder
