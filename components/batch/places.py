"""Where a run reads and writes: a folder on a disk, or a prefix of a bucket, as the user names it."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components.batch.lease import leased
from components.batch.object_store import ObjectStore
from components.batch.storage import (
    STATE_FOLDER,
    LocalStorage,
    Storage,
    check_writable,
    open_destination,
    written_destination,
)
from components.errors import StreetveilError

Place = Path | ObjectStore

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


def place_of(text: str) -> Place:
    """A place from how it was typed: a path, `file:///folder` or `s3://bucket/prefix`.

    Raises:
        StreetveilError: it is a URL of another kind, or names no bucket.
    """
    url = _URL.fullmatch(text)
    if url is None:
        return Path(text)
    if url["scheme"] == "file" and url["rest"].startswith("/"):
        return Path(url["rest"])
    bucket, _, prefix = url["rest"].partition("/")
    if url["scheme"] != "s3" or not bucket:
        raise StreetveilError(f"{text} is no place that can be used: name a folder, or s3://bucket/prefix")
    prefix = prefix.strip("/")
    return ObjectStore(bucket, f"{prefix}/" if prefix else "")


def name_of(place: Place) -> str:
    """The last part of a place's name: of a day's destination, the day."""
    return place.resolve().name if isinstance(place, Path) else str(place).rsplit("/", 1)[-1]


def are_entangled(source: Place, destination: Place) -> bool:
    """Whether the source is the destination or lies below it, so that outputs would mix with originals."""
    if isinstance(source, Path) and isinstance(destination, Path):
        return source.resolve().is_relative_to(destination.resolve())
    if isinstance(source, ObjectStore) and isinstance(destination, ObjectStore):
        return source.bucket == destination.bucket and source.prefix.startswith(destination.prefix)
    return False


def is_foreign(destination: Place) -> bool:
    """Whether a destination holds files, and none of them says that Streetveil has written there."""
    if isinstance(destination, Path):
        return destination.is_dir() and any(destination.iterdir()) and not (destination / STATE_FOLDER).is_dir()
    return not _is_written(destination) and next(destination.objects(), None) is not None


def opened(destination: Place) -> Storage:
    """The storage at a destination, which is made if need be.

    Raises:
        StreetveilError: it cannot be written to.
    """
    if isinstance(destination, Path):
        return open_destination(destination)
    try:
        check_writable(destination)
    except OSError as error:
        raise StreetveilError(f"cannot write to {destination}: {error.strerror}; check its rights") from error
    return destination


def written(destination: Place) -> Storage:
    """The storage at a destination that a run has written.

    Raises:
        StreetveilError: it was not written by Streetveil.
    """
    if isinstance(destination, Path):
        return written_destination(destination)
    if not _is_written(destination):
        raise StreetveilError(f"{destination} was not written by streetveil: name the destination of a run")
    return destination


@contextmanager
def held(storage: Storage, on_wait: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Hold a destination: one run at a time.

    Yields:
        What raises a StreetveilError if it is held no longer: to be called before a commit.
    """
    if isinstance(storage, ObjectStore):
        with leased(storage, on_wait) as check:
            yield check
    elif isinstance(storage, LocalStorage):
        with locked(storage.root, on_wait):
            yield lambda: None
    else:
        raise TypeError(f"nothing is known of how to hold {type(storage).__name__}")


@contextmanager
def locked(root: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a folder; the system lets go of it even if this process is killed."""
    with (root / STATE_FOLDER / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_written(store: ObjectStore) -> bool:
    return next(store.objects(STATE_FOLDER), None) is not None
