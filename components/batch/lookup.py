"""Finding one published image among days of them, by its path or by the id that its file carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pyarrow.compute as pc

from components.batch.manifest import PUBLISHED, ImageRow, manifest_paths, read_manifest
from components.batch.storage import STATE_FOLDER, LocalStorage, Storage

_BLURRING_ID = re.compile(r"[0-9a-f]{32}")


def is_blurring_id(image: str) -> bool:
    """Whether a name is an id as published files carry it, and not a path."""
    return _BLURRING_ID.fullmatch(image) is not None


def find_published(root: Path, image: str) -> tuple[Path, ImageRow] | None:
    """The destination and the valid row of a published image, or None.

    Args:
        root: a folder that a run has written, or one that holds such folders, one a day.
        image: a path below `root`, or a blurring id. An id that the image had before it was blurred once more counts.
    """
    for folder in _destinations(root):
        storage = LocalStorage(folder.resolve())
        path = _path_of_id(storage, image) if is_blurring_id(image) else _path_below(root, folder, image)
        row = None if path is None else valid_row(storage, path)
        if row is not None and row.state == PUBLISHED:
            return folder, row
    return None


def valid_row(storage: Storage, path: str) -> ImageRow | None:
    """The row of an image that was committed last, or None."""
    rows = history(storage, path)
    return rows[-1][1] if rows else None


def history(storage: Storage, path: str) -> list[tuple[int, ImageRow]]:
    """Every row of an image with the time of its commit, ns; the last one is valid."""
    return sorted(_rows(storage, "path", path), key=lambda found: found[0])


def _destinations(root: Path) -> Iterator[Path]:
    """The latest day first: its images are those that people look at."""
    if (root / STATE_FOLDER).is_dir():
        yield root
    elif root.is_dir():
        yield from sorted((folder for folder in root.iterdir() if (folder / STATE_FOLDER).is_dir()), reverse=True)


def _path_below(root: Path, folder: Path, image: str) -> str | None:
    """The path of an image within its destination."""
    path = PurePosixPath(image)
    if path.is_absolute() or ".." in path.parts or "\0" in image:
        return None
    if folder == root:
        return str(path)
    return str(PurePosixPath(*path.parts[1:])) if path.parts[:1] == (folder.name,) else None


def _path_of_id(storage: Storage, blurring_id: str) -> str | None:
    rows = _rows(storage, "blurring_id", blurring_id)
    return rows[-1][1].path if rows else None


def _rows(storage: Storage, column: str, value: str) -> list[tuple[int, ImageRow]]:
    """Every row with a value, each with the time of its commit."""
    found: list[tuple[int, ImageRow]] = []
    for manifest in manifest_paths(storage):
        table = read_manifest(storage, manifest)
        committed_ns = int(table.schema.metadata[b"committed_ns"])
        rows = table.filter(pc.equal(table[column], value)).to_pylist()
        found.extend((committed_ns, ImageRow.from_dict(row)) for row in rows)
    return found
