"""Which rows of a destination are valid, known by path, in a file of its own instead of in memory.

Ten million rows do not fit into a machine's memory, and manifests, listings and object stores each have an order of
their own, so nothing can be merged. SQLite keeps the index in a private temporary file, which it removes by itself;
as long as the index is small, that file is never written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pyarrow as pa

from components.batch.manifest import PUBLISHED, ImageRow, manifest_paths, read_manifest
from components.batch.storage import Storage
from components.errors import Reason

_CACHE_MIB = 64
DISCARDED = "discarded"  # the state of what a person has given up: in quarantine, and nobody is asked about it
_COLUMNS = ("path", "state", "reason", "input_size_bytes", "input_modified_ns")
_SETTINGS = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", f"cache_size=-{_CACHE_MIB * 1024}")
_TABLE = (
    "CREATE TABLE valid (path TEXT PRIMARY KEY, committed_ns INT, manifest INT, state TEXT, size INT, modified INT, "
    "is_there INT DEFAULT 0) WITHOUT ROWID"
)
_UPSERT = (
    "INSERT INTO valid (path, committed_ns, manifest, state, size, modified) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET committed_ns=excluded.committed_ns, manifest=excluded.manifest, state=excluded.state, "
    "size=excluded.size, modified=excluded.modified WHERE excluded.committed_ns >= valid.committed_ns"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of a path.

    Attributes:
        state: of its valid row, or `DISCARDED`.
        input_size_bytes, input_modified_ns: the original that the row speaks of.
        is_there: the output was seen in a listing.
    """

    state: str
    input_size_bytes: int
    input_modified_ns: int
    is_there: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do, as long as the original is the same."""
        return self.state != PUBLISHED or self.is_there


@dataclass(frozen=True, slots=True)
class Index:
    """The valid rows of a destination at one moment."""

    storage: Storage
    manifests: Sequence[str]
    database: sqlite3.Connection

    def __len__(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM valid").fetchone()[0])

    def get(self, path: str) -> Known | None:
        """What is known of a path."""
        found = self.database.execute(
            "SELECT state, size, modified, is_there FROM valid WHERE path = ?", (path,)
        ).fetchone()
        return None if found is None else Known(found[0], found[1], found[2], bool(found[3]))

    def states(self) -> dict[str, int]:
        """How many images are in which state."""
        return dict(self.database.execute("SELECT state, count(*) FROM valid GROUP BY state"))

    def note_there(self, paths: Iterable[str]) -> None:
        """Note which outputs a listing has."""
        self.database.executemany("UPDATE valid SET is_there = 1 WHERE path = ?", ((path,) for path in paths))

    def rows(self) -> Iterator[ImageRow]:
        """Every valid row, manifest by manifest.

        Raises:
            StreetveilError: a manifest cannot be read.
        """
        for number, manifest in enumerate(self.manifests):
            table = read_manifest(self.storage, manifest)
            for row in table.to_pylist():
                if self._is_valid(row["path"], number):
                    yield ImageRow.from_dict(row)

    def _is_valid(self, path: str, manifest: int) -> bool:
        valid = self.database.execute("SELECT manifest FROM valid WHERE path = ?", (path,)).fetchone()
        return valid is not None and valid[0] == manifest


@contextmanager
def indexed(storage: Storage) -> Iterator[Index]:
    """Read what the manifests of a destination say.

    Raises:
        StreetveilError: a manifest cannot be read.
    """
    with closing(sqlite3.connect("", check_same_thread=False)) as database:
        for setting in _SETTINGS:
            database.execute(f"PRAGMA {setting}")
        database.execute(_TABLE)
        manifests = list(manifest_paths(storage))
        for number, manifest in enumerate(manifests):
            table = read_manifest(storage, manifest, _COLUMNS)
            database.executemany(_UPSERT, _entries(table, number))
        yield Index(storage, manifests, database)


def _entries(table: pa.Table, manifest: int) -> Iterator[tuple[object, ...]]:
    committed_ns = int(table.schema.metadata[b"committed_ns"])
    for path, state, reason, *original in zip(*(table[column].to_pylist() for column in _COLUMNS), strict=True):
        yield path, committed_ns, manifest, DISCARDED if reason == Reason.DISCARDED else state, *original


def valid_rows(storage: Storage) -> Iterator[ImageRow]:
    """The valid row of every image of a destination, one by one.

    Raises:
        StreetveilError: a manifest cannot be read.
    """
    with indexed(storage) as index:
        yield from index.rows()
