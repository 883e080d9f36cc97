"""The audit of a shard: one row for each image, one Parquet file for each shard.

A shard counts when its manifest stands. Where an image stands in several manifests (it was retried, or its file had
changed), the one that was committed last is true.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.batch.storage import STATE_FOLDER, Storage
from components.errors import StreetveilError

SCHEMA_VERSION = 3  # columns are only ever added, so older manifests stay readable
PUBLISHED, QUARANTINED = "published", "quarantined"
LOOKED_AT = "looked_at"  # the state of a shadow's row: it says nothing of an output
MANIFESTS, SHADOWS = f"{STATE_FOLDER}/manifests", f"{STATE_FOLDER}/shadow"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something that could have been a face or a plate: where, how sure each stage was, and what became of it.

    Boxes in px of the upright picture, without dilation.
    """

    class_name: str
    x1: float
    y1: float
    x2: float
    y2: float
    stage: int
    stage1_confidence: float
    stage2_confidence: float | None
    secondary_confidence: float | None
    outcome: str
    exemption: str | None = None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """What happened to one image; `docs/manifest.md` explains every column."""

    path: str
    state: str
    reason: str | None
    detail: str | None
    attempts: int
    region: str
    model_name: str
    model_version: str
    params_sha256: str
    code_revision: str
    input_size_bytes: int
    input_modified_ns: int
    input_sha256: str | None = None
    output_sha256: str | None = None
    output_size_bytes: int | None = None
    blurring_id: str | None = None
    image_format: str | None = None
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    is_panorama: bool | None = None
    written: str | None = None
    redetected: bool | None = None
    brightness: float | None = None
    proposals: tuple[Proposal, ...] = ()
    read_ms: float | None = None
    decode_ms: float | None = None
    detect_ms: float | None = None
    publish_ms: float | None = None
    verify_ms: float | None = None
    write_ms: float | None = None
    region_by: str | None = None

    def exemptions(self) -> set[str]:
        """The ids of the exemptions that have left something visible."""
        return {proposal.exemption for proposal in self.proposals if proposal.exemption is not None}

    def blurred(self, class_name: str) -> int:
        """How many objects of a class were blurred."""
        return sum(p.class_name == class_name and p.outcome == "blurred" for p in self.proposals)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and Arrow; `dataclasses.asdict` copies each value, which took ten times as long."""
        values = {name: getattr(self, name) for name in _COLUMNS}
        values["proposals"] = tuple({name: getattr(one, name) for name in _OF_PROPOSAL} for one in self.proposals)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ImageRow:
        """The inverse of `to_dict`."""
        proposals = tuple(Proposal(**proposal) for proposal in values.get("proposals") or ())
        return cls(**{**values, "proposals": proposals})


_COLUMNS = tuple(column.name for column in fields(ImageRow))
_OF_PROPOSAL = tuple(column.name for column in fields(Proposal))

# Columns that tell how a run went rather than what it made: two runs over the same images may differ in these alone.
HISTORY_COLUMNS = ("attempts", "read_ms", "decode_ms", "detect_ms", "publish_ms", "verify_ms", "write_ms")

_PROPOSAL = pa.struct(
    [
        ("class_name", pa.string()),
        *((side, pa.float32()) for side in ("x1", "y1", "x2", "y2")),
        ("stage", pa.int8()),
        *((f"{stage}_confidence", pa.float32()) for stage in ("stage1", "stage2", "secondary")),
        ("outcome", pa.string()),
        ("exemption", pa.string()),
    ]
)
_TYPES = {
    **dict.fromkeys(("attempts", "orientation"), pa.int16()),
    **dict.fromkeys(("input_size_bytes", "input_modified_ns", "output_size_bytes"), pa.int64()),
    **dict.fromkeys(("width", "height"), pa.int32()),
    **dict.fromkeys(("is_panorama", "redetected"), pa.bool_()),
    **dict.fromkeys(("brightness", *HISTORY_COLUMNS[1:]), pa.float32()),
    "proposals": pa.list_(_PROPOSAL),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _COLUMNS])


def encode_manifest(shard_id: str, rows: Iterable[ImageRow], committed_ns: int) -> bytes:
    """A shard's manifest as Parquet bytes, rows sorted by path."""
    ordered = sorted(rows, key=lambda row: row.path)
    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "shard_id": shard_id,
        "committed_ns": str(committed_ns),
    }
    table = pa.Table.from_pylist([row.to_dict() for row in ordered], schema=SCHEMA.with_metadata(metadata))
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def commit_manifest(storage: Storage, shard_id: str, rows: Sequence[ImageRow]) -> str:
    """Write a shard's manifest, whole or not at all; from then on the shard counts.

    Returns:
        Its path in the storage.
    """
    path = f"{MANIFESTS}/{shard_id}.parquet"
    storage.write(path, encode_manifest(shard_id, rows, time.time_ns()))
    return path


def read_manifest(storage: Storage, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One manifest.

    Args:
        storage: the destination.
        path: of the manifest.
        columns: only these; all by default.

    Raises:
        StreetveilError: it is damaged or of an unknown schema version.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(storage.read(path))).read(columns and list(columns))
    except (pa.ArrowException, OSError) as error:
        raise StreetveilError(
            f"manifest {path} cannot be read ({error}); restore it, or delete it and run again"
        ) from error
    version = (table.schema.metadata or {}).get(b"schema_version", b"?").decode()
    if version not in map(str, range(1, SCHEMA_VERSION + 1)):
        raise StreetveilError(
            f"manifest {path} has schema version {version}, this release reads 1 to {SCHEMA_VERSION}: update"
        )
    return table


def manifest_paths(storage: Storage) -> Iterator[str]:
    """The paths of all manifests of a destination."""
    return (path for path in storage.list(MANIFESTS) if path.endswith(".parquet"))


def shadow_paths(storage: Storage, version: str) -> Iterator[str]:
    """The paths of what a challenger has said of a destination; each is read like a manifest."""
    return (path for path in storage.list(f"{SHADOWS}/{version}") if path.endswith(".parquet"))


def read_rows(storage: Storage) -> dict[str, ImageRow]:
    """The valid row of every image of a destination, by path."""
    tables = [read_manifest(storage, path) for path in manifest_paths(storage)]
    tables.sort(key=lambda table: int(table.schema.metadata[b"committed_ns"]))
    return {row["path"]: ImageRow.from_dict(row) for table in tables for row in table.to_pylist()}


def comparable(rows: Iterable[ImageRow]) -> list[dict[str, Any]]:
    """Rows without their history, sorted: equal for equal work."""
    kept = [{key: value for key, value in row.to_dict().items() if key not in HISTORY_COLUMNS} for row in rows]
    return sorted(kept, key=lambda row: row["path"])
