"""Places that hold files by a relative path, without rename: object stores have none.

`write` is all or nothing: a reader sees the old content or the new one, whole. How that is done (temporary name, fsync
and rename on a disk, one PUT on an object store) is the implementation's own business.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from components.durable import is_alive, sync
from components.errors import StreetveilError

STATE_FOLDER = ".streetveil"  # below a destination: manifests and journals; never an input, never published
_TEMPORARY = f"{STATE_FOLDER}/drafts"


class Storage(Protocol):
    """What batch work needs of a place."""

    def read(self, path: str) -> bytes:
        """The whole content.

        Raises:
            FileNotFoundError: there is nothing under the path.
            OSError: it cannot be read.
            StreetveilError: the place itself does not answer, so nothing can be said of the file; all methods.
        """
        ...

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Put the whole content under the path, or nothing.

        Args:
            path: relative, with `/`.
            content: all of it.
            durable: survive a power cut, not only the death of the process.
        """
        ...

    def delete(self, path: str) -> None:
        """Remove what is under the path, if anything."""
        ...

    def exists(self, path: str) -> bool:
        """Whether a file is under the path."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Paths below a folder, in an order that never changes; none if there is no such folder."""
        ...

    def remove_leftovers(self) -> None:
        """Remove what writers that no longer live have left half done."""
        ...


_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """A folder on a disk."""

    root: Path

    def read(self, path: str) -> bytes:
        """See `Storage.read`."""
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """See `Storage.write`: a temporary name, fsync, rename, fsync of the folder."""
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            return self._write_once(path, content, durable)
        # Another process may have tidied an empty folder away in between. Now none can; what is in the way is told.
        with self._tidied_by_nobody_else():
            return self._write_once(path, content, durable)

    def _write_once(self, path: str, content: bytes, durable: bool) -> None:
        target = self.root / path
        temporary = self.root / _TEMPORARY / f"{os.getpid()}-{secrets.token_hex(8)}"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)  # last: no time for a tidying process to step in
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync(target.parent)

    def delete(self, path: str) -> None:
        """See `Storage.delete`."""
        try:
            (self.root / path).unlink()
        except OSError as error:
            if error.errno not in _NOTHING_THERE:
                raise

    def exists(self, path: str) -> bool:
        """See `Storage.exists`."""
        try:
            return (self.root / path).is_file()
        except OSError as error:
            if error.errno not in _NOTHING_THERE:
                raise
            return False

    def list(self, prefix: str) -> Iterator[str]:
        """See `Storage.list`; one folder's names are in memory at a time."""
        folder = self.root / prefix
        for parent, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                yield told_name((Path(parent) / name).relative_to(self.root))

    def remove_leftovers(self) -> None:
        """Remove temporary files of writers that no longer live, and folders that are empty."""
        for path in (self.root / _TEMPORARY).glob("*-*"):
            if not is_alive(int(path.name.split("-")[0])):
                path.unlink(missing_ok=True)
        with self._tidied_by_nobody_else():
            for folder in (self.root / _TEMPORARY, *sorted((self.root / STATE_FOLDER / "journal").glob("*"))):
                with contextlib.suppress(OSError):  # not empty, or not there
                    folder.rmdir()

    @contextlib.contextmanager
    def _tidied_by_nobody_else(self) -> Iterator[None]:
        """A lock on the folder itself, which leaves no file; none where a disk knows no such locks, as some NFS."""
        place = os.open(self.root, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(place, fcntl.LOCK_EX)
            yield
        finally:
            os.close(place)


def told_name(path: PurePath) -> str:
    """A path with `/`, as manifests have it: what of a name is not UTF-8 is told with escapes."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def open_destination(folder: Path) -> LocalStorage:
    """The storage at a destination, which is made if need be.

    Raises:
        StreetveilError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        storage = LocalStorage(folder.resolve())
        check_writable(storage)
    except OSError as error:
        raise StreetveilError(f"cannot write to {folder}: {error.strerror}; choose another destination") from error
    return storage


def check_writable(storage: Storage) -> None:
    """Write something and take it away again.

    Raises:
        OSError: that cannot be done.
    """
    storage.write(f"{STATE_FOLDER}/writable", b"")
    storage.delete(f"{STATE_FOLDER}/writable")


def written_destination(folder: Path) -> LocalStorage:
    """The storage at a destination that a run has written.

    Raises:
        StreetveilError: it was not written by Streetveil.
    """
    if not (folder / STATE_FOLDER).is_dir():
        raise StreetveilError(f"{folder} was not written by streetveil: name the destination of a run")
    return LocalStorage(folder.resolve())
