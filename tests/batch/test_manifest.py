"""Manifests keep every value, know their version, and the last word counts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch.manifest import (
    MANIFESTS,
    SCHEMA,
    ImageRow,
    Proposal,
    commit_manifest,
    comparable,
    encode_manifest,
    read_rows,
)
from components.batch.storage import LocalStorage
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT

_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
_share = st.floats(0, 1, width=32)
_proposals = st.builds(
    Proposal,
    class_name=st.sampled_from(["face", "license_plate"]),
    x1=_float32,
    y1=_float32,
    x2=_float32,
    y2=_float32,
    stage=st.integers(1, 3),
    stage1_confidence=_share,
    stage2_confidence=st.none() | _share,
    secondary_confidence=st.none() | _share,
    outcome=st.sampled_from(["blurred", "below_threshold", "too_small"]),
)
_rows = st.builds(
    ImageRow,
    path=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    state=st.sampled_from(["published", "quarantined"]),
    reason=st.none() | st.just("empty"),
    detail=st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
    attempts=st.integers(1, 100),
    region=st.just("eu"),
    model_name=st.just("m"),
    model_version=st.just("1"),
    params_sha256=st.just("p"),
    code_revision=st.just("c"),
    input_size_bytes=st.integers(-1, 2**60),
    input_modified_ns=st.integers(0, 2**62),
    input_sha256=st.none() | st.just("ab" * 32),
    width=st.none() | st.integers(1, 2**30),
    brightness=st.none() | _share,
    proposals=st.lists(_proposals, max_size=3).map(tuple),
    decode_ms=st.none() | _share,
)


def row(path: str, state: str = "published", **changes: object) -> ImageRow:
    """A row with little in it."""
    values: dict[str, object] = {
        "reason": None,
        "detail": None,
        "attempts": 1,
        "region": "eu",
        "model_name": "m",
        "model_version": "1",
        "params_sha256": "p",
        "code_revision": "c",
        "input_size_bytes": 1,
        "input_modified_ns": 1,
    }
    return ImageRow(path=path, state=state, **{**values, **changes})  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(_rows, max_size=5, unique_by=lambda row: row.path))
def test_what_is_written_is_read_back(rows: list[ImageRow], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every value of every row survives Parquet, and the journal's JSON form too."""
    storage = LocalStorage(tmp_path_factory.mktemp("manifest"))
    commit_manifest(storage, "shard", rows)
    assert read_rows(storage) == {row.path: row for row in rows}
    assert [ImageRow.from_dict(row.to_dict()) for row in rows] == rows


def test_the_last_commit_counts(tmp_path: Path) -> None:
    """An image that was retried in another shard has the later state, whatever the shards' names."""
    storage = LocalStorage(tmp_path)
    commit_manifest(storage, "zz", [row("a", "quarantined"), row("b")])
    commit_manifest(storage, "aa", [row("a", "published")])
    assert {path: found.state for path, found in read_rows(storage).items()} == {"a": "published", "b": "published"}


def test_an_unknown_schema_version_is_refused(tmp_path: Path) -> None:
    """A manifest of another release is not guessed at."""
    storage = LocalStorage(tmp_path)
    table = pq.read_table(pa.BufferReader(encode_manifest("s", [row("a")], 1)))
    newer = table.replace_schema_metadata({b"schema_version": b"999", b"committed_ns": b"1"})
    sink = pa.BufferOutputStream()
    pq.write_table(newer, sink)
    storage.write(f"{MANIFESTS}/s.parquet", sink.getvalue().to_pybytes())
    with pytest.raises(StreetveilError, match="schema version 999"):
        read_rows(storage)


def test_a_damaged_manifest_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """Half a manifest is not read as an empty one."""
    storage = LocalStorage(tmp_path)
    storage.write(f"{MANIFESTS}/s.parquet", encode_manifest("s", [row("a")], 1)[:200])
    with pytest.raises(StreetveilError, match="restore it"):
        read_rows(storage)


def test_equality_looks_past_times_and_attempts_alone() -> None:
    """Two rows that differ in history are equal work; two that differ in a box are not."""
    proposal = Proposal("face", 1, 2, 3, 4, 1, 0.5, None, None, "blurred")
    first = row("a", decode_ms=1.0, proposals=(proposal,))
    assert comparable([first]) == comparable([row("a", decode_ms=9.0, attempts=2, proposals=(proposal,))])
    assert comparable([first]) != comparable([row("a", decode_ms=1.0)])


def test_every_column_is_explained() -> None:
    """The column dictionary in the docs names each column of the schema, and no other."""
    lines = (PROJECT_ROOT / "docs" / "manifest.md").read_text(encoding="utf-8").splitlines()
    named = {line.split("|")[1].strip().strip("`") for line in lines if line.startswith("| `")}
    proposal_fields = {field.name for field in SCHEMA.field("proposals").type.value_type}
    assert named == set(SCHEMA.names) | {f"proposals.{name}" for name in proposal_fields}


def test_confidences_keep_float32() -> None:
    """A confidence is stored with the precision that the detector gave it."""
    value = float(np.float32(0.1))
    assert not math.isclose(value, 0.1, rel_tol=1e-9)
    proposal = Proposal("face", 0, 0, 1, 1, 1, value, None, None, "blurred")
    table = pq.read_table(pa.BufferReader(encode_manifest("s", [row("a", proposals=(proposal,))], 1)))
    assert table.to_pylist()[0]["proposals"][0]["stage1_confidence"] == value
