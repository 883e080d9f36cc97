"""The secret that all noise of a day is drawn from: made for the day, kept apart, destroyed when the day is closed."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from components.batch.places import Place
from components.errors import StreetveilError

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class RunKey:
    """A secret and where it lies.

    Attributes:
        secret: 32 bytes or more.
        path: its file, mode 0600.
        kept: the file belongs to the user and is not destroyed at the day's end.
    """

    secret: bytes
    path: Path
    kept: bool = False

    def __repr__(self) -> str:
        return f"RunKey(<secret>, {str(self.path)!r})"

    def destroy(self) -> None:
        """Overwrite and remove the file, unless it is the user's own.

        After this nobody can repeat the noise. On journaling and flash storage, overwriting cannot promise that no
        older copy of the block survives: keep the keys folder on an encrypted or memory-backed file system.
        """
        if self.kept:
            return
        try:
            with self.path.open("r+b") as file:
                file.write(secrets.token_bytes(len(self.secret)))
                file.flush()
                os.fsync(file.fileno())
            self.path.unlink()
        except FileNotFoundError:
            pass  # another run of the same day has closed it


def acquire_run_key(keys_dir: Path, destination: Place, key_file: Path | None = None) -> RunKey:
    """The key of a destination's open day; made if there is none yet.

    Args:
        keys_dir: the folder for keys, apart from source and destination.
        destination: what the key belongs to.
        key_file: a key of the user's own, which is only read.

    Raises:
        StreetveilError: the key cannot be read, is too short, or lies where others can read it.
    """
    if key_file is not None:
        return RunKey(read_key(key_file), key_file, kept=True)
    where = destination.resolve() if isinstance(destination, Path) else destination
    name = hashlib.sha256(str(where).encode()).hexdigest()[:24]
    path = keys_dir / f"{name}.key"
    if isinstance(where, Path) and keys_dir.resolve().is_relative_to(where):
        raise StreetveilError(
            f"the keys folder {keys_dir} lies inside the destination: set STREETVEIL_KEYS_DIR elsewhere"
        )
    try:
        keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(path)
    except OSError as error:
        raise StreetveilError(f"cannot keep a key in {keys_dir}: {error.strerror}; set STREETVEIL_KEYS_DIR") from error
    return RunKey(read_key(path), path)


def _create(path: Path) -> None:
    """Write a new key, whole or not at all, unless one is there: of two runs at once, one wins and both use its key."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)  # fails if another run was faster
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def read_key(path: Path) -> bytes:
    """A key from its file.

    Raises:
        StreetveilError: it cannot be read, is too short, or lies where others can read it.
    """
    try:
        secret = path.read_bytes()
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise StreetveilError(f"cannot read the key {path}: {error.strerror}") from error
    if len(secret) < _KEY_BYTES:
        raise StreetveilError(
            f"the key {path} has {len(secret)} bytes; it needs {_KEY_BYTES}: head -c 32 /dev/urandom > FILE"
        )
    if mode & 0o077:
        raise StreetveilError(f"the key {path} can be read by others (mode {mode:04o}): chmod 600 {path}")
    return secret
