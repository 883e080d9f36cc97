"""What there is to blur: every file below a folder, or object below a prefix, in an order that never changes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.batch.object_store import ObjectStore
from components.batch.places import Place, are_entangled
from components.batch.storage import STATE_FOLDER, told_name
from components.errors import ImageFault, Reason, StreetveilError


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An input as the listing found it.

    Attributes:
        path: relative to the source, with `/`.
        size_bytes: size in the listing; -1 if even that could not be read.
        modified_ns: modification time, ns since the epoch; tells a changed file from a finished one.
    """

    path: str
    size_bytes: int
    modified_ns: int


def list_images(source: Place, destination: Place) -> Iterator[ImageRef]:
    """Every file below a source, one by one, whatever it is: a file that is no image gets an end state too.

    In a folder, links to folders are not followed (they may go round in circles); links to files are. The destination,
    if it lies below the source, and Streetveil's own state folders are passed over.

    Raises:
        StreetveilError: there is no such source, it cannot be listed, or source and destination are entangled.
    """
    if isinstance(source, Path) and not source.is_dir():
        raise StreetveilError(f"no folder {source}: name the folder that holds the images")
    if are_entangled(source, destination):
        raise StreetveilError(
            f"destination {destination} would mix with the originals in {source}: choose another folder"
        )
    if isinstance(source, ObjectStore):
        yield from _objects(source, destination)
    else:
        inside = source.resolve()
        yield from _walk(inside, inside, destination.resolve() if isinstance(destination, Path) else None)


def find_image(source: Place, path: str) -> ImageRef:
    """One image by the path under which a listing has found it; of size -1 if it is gone.

    Raises:
        StreetveilError: the place itself does not answer.
    """
    if isinstance(source, Path):
        return _reference(source / path, source)
    folder = path.rpartition("/")[0]
    found = next((one for one in source.objects(folder) if _told(one.path) == path), None)
    return ImageRef(path, found.size_bytes if found else -1, found.modified_ns if found else 0)


def _objects(source: ObjectStore, destination: Place) -> Iterator[ImageRef]:
    below = None
    if isinstance(destination, ObjectStore) and destination.bucket == source.bucket:
        below = destination.prefix.removeprefix(source.prefix) if destination.prefix.startswith(source.prefix) else None
    for found in source.objects():
        is_ours = STATE_FOLDER in found.path.split("/")
        if not is_ours and not (below and found.path.startswith(below)):
            yield ImageRef(_told(found.path), found.size_bytes, found.modified_ns)


def _told(key: str) -> str:
    """An object's name as a path below any destination.

    One that would leave it, or be another's there, is told with escapes, found under no such name, and quarantined.
    """
    escaped = {"": "\\x2f", ".": "\\x2e", "..": "\\x2e\\x2e"}
    return "/".join(escaped.get(part, part) for part in key.replace("\0", "\\x00").split("/"))


def _walk(folder: Path, root: Path, destination: Path | None) -> Iterator[ImageRef]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise StreetveilError(f"cannot list {folder}: {error.strerror}; nothing of it would be blurred") from error
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if entry.name != STATE_FOLDER and path != destination:
                yield from _walk(path, root, destination)
        elif not (entry.is_symlink() and path.is_dir()):
            yield _reference(path, root)


def _reference(path: Path, root: Path) -> ImageRef:
    # A name that is not UTF-8 cannot stand in a manifest as it is; it is told with escapes, and quarantined.
    name = told_name(path.relative_to(root))
    try:
        status = path.stat()
    except OSError:
        return ImageRef(name, -1, 0)
    return ImageRef(name, status.st_size, status.st_mtime_ns)


def read_image(source: Place, image: ImageRef, max_file_mib: float) -> bytes:
    """The bytes of an input.

    Raises:
        ImageFault: it is not a regular file, is too large, or cannot be read.
        StreetveilError: the place itself does not answer.
    """
    max_bytes = int(max_file_mib * 2**20)
    try:
        if isinstance(source, ObjectStore):
            return source.read_bounded(image.path, max_bytes)
        return _read_file(source / image.path, max_bytes)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EFBIG:
            detail = f"{error.strerror}; reading.max_file_mib allows {max_file_mib:g}"  # type: ignore[union-attr]
            raise ImageFault(Reason.TOO_LARGE, detail) from error
        if "\\x" in image.path and isinstance(error, FileNotFoundError):
            raise ImageFault(Reason.BAD_NAME, "its name is not UTF-8, or no path of a file; rename it") from error
        what = getattr(error, "strerror", None) or str(error)
        raise ImageFault(
            Reason.UNREADABLE, f"cannot be read ({what}); mend it, then `streetveil quarantine retry`"
        ) from error


def _read_file(path: Path, max_bytes: int) -> bytes:
    status = path.stat()  # never open what is no file: reading a pipe would wait for ever
    if not stat.S_ISREG(status.st_mode):
        raise ImageFault(Reason.NOT_A_FILE, "a pipe, socket or device, not a file; remove it from the folder")
    if status.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"{status.st_size / 2**20:.0f} MiB")
    return path.read_bytes()
