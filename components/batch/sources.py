"""What there is to blur: every file below a folder, in an order that never changes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.batch.storage import STATE_FOLDER
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


def list_images(source: Path, destination: Path) -> Iterator[ImageRef]:
    """Every file below a folder, sorted, whatever it is: a file that is no image gets an end state too.

    Links to folders are not followed (they may go round in circles); links to files are. The destination, if it lies
    below the source, and Streetveil's own state folders are passed over.

    Raises:
        StreetveilError: there is no such folder, or source and destination are entangled.
    """
    if not source.is_dir():
        raise StreetveilError(f"no folder {source}: name the folder that holds the images")
    inside, outside = source.resolve(), destination.resolve()
    if inside == outside or inside.is_relative_to(outside):
        raise StreetveilError(
            f"destination {destination} would mix with the originals in {source}: choose another folder"
        )
    yield from _walk(inside, inside, outside)


def _walk(folder: Path, root: Path, destination: Path) -> Iterator[ImageRef]:
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
    name = path.relative_to(root).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        status = path.stat()
    except OSError:
        return ImageRef(name, -1, 0)
    return ImageRef(name, status.st_size, status.st_mtime_ns)


def read_image(source: Path, image: ImageRef, max_file_mib: float) -> bytes:
    """The bytes of an input.

    Raises:
        ImageFault: it is not a regular file, is too large, or cannot be read.
    """
    path = source / image.path
    try:
        status = path.stat()  # never open what is no file: reading a pipe would wait for ever
        if not stat.S_ISREG(status.st_mode):
            raise ImageFault(Reason.NOT_A_FILE, "a pipe, socket or device, not a file; remove it from the folder")
        if status.st_size > max_file_mib * 2**20:
            raise ImageFault(
                Reason.TOO_LARGE,
                f"{status.st_size / 2**20:.0f} MiB; reading.max_file_mib allows {max_file_mib:g}",
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if "\\x" in image.path and isinstance(error, FileNotFoundError):
            raise ImageFault(Reason.BAD_NAME, "the file's name is not UTF-8; rename it") from error
        what = getattr(error, "strerror", None) or str(error)
        raise ImageFault(
            Reason.UNREADABLE, f"cannot be read ({what}); mend it, then `streetveil quarantine retry`"
        ) from error
